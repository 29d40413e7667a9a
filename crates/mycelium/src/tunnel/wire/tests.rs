use proptest::prelude::*;

use super::{Answer, MAX_ID, News, head, read_head};

fn reads(mut bytes: &[u8]) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(read_head(&mut bytes))
}

#[test]
fn a_head_is_read_as_it_was_written() {
    let longest = ["a", "n", "r"].map(|c| c.repeat(63)).join("/");
    assert_eq!(longest.len(), MAX_ID);
    for id in ["web/one/web-0", &longest] {
        assert_eq!(reads(&head(id).unwrap()).as_deref(), Some(id));
        for news in [News::Leaves(id, true), News::Leaves(id, false), News::Pauses] {
            assert_eq!(News::read(&news.encode()), Some(news));
        }
    }
    assert!(head(&"x".repeat(256)).is_err());
}

#[test]
fn an_answer_is_read_as_it_was_written() {
    for answer in Answer::ALL {
        assert_eq!(Answer::of(answer.byte()), Some(answer));
    }
    assert_eq!(Answer::of(8), None);
}

#[test]
fn what_is_none_is_refused() {
    for bad in ["", "web", "web/one", "web/one/r/x", "web//r", "WEB/one/r", "../../etc"] {
        assert_eq!(reads(&head(bad).unwrap()), None, "{bad}");
        assert_eq!(News::read(&News::Leaves(bad, true).encode()), None, "{bad}");
    }
    let mut other_version = head("web/one/r").unwrap();
    other_version[0] = 2;
    assert_eq!(reads(&other_version), None);
    assert_eq!((News::read(b"\x02web/one/r"), News::read(b"\x03web/one/r")), (None, None));
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (reads(&bytes), News::read(&bytes));
    }
}
