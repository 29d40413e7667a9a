use proptest::prelude::*;

use super::{Answer, MAX_ID, head, news, read_head, read_news};

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
        assert_eq!(read_news(&news(id, true)), Some((id, true)));
        assert_eq!(read_news(&news(id, false)), Some((id, false)));
    }
    assert!(head(&"x".repeat(256)).is_err());
}

#[test]
fn an_answer_is_read_as_it_was_written() {
    for answer in Answer::ALL {
        assert_eq!(Answer::of(answer.byte()), Some(answer));
    }
    assert_eq!(Answer::of(7), None);
}

#[test]
fn what_is_none_is_refused() {
    for bad in ["", "web", "web/one", "web/one/r/x", "web//r", "WEB/one/r", "../../etc"] {
        assert_eq!(reads(&head(bad).unwrap()), None, "{bad}");
        assert_eq!(read_news(&news(bad, true)), None, "{bad}");
    }
    let mut other_version = head("web/one/r").unwrap();
    other_version[0] = 2;
    assert_eq!(reads(&other_version), None);
    assert_eq!(read_news(b"\x02web/one/r"), None);
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (reads(&bytes), read_news(&bytes));
    }
}
