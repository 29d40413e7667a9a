use proptest::prelude::{prop_assert_eq, proptest};

use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn of(line: &str) -> Record {
    Record::of_line(0, line.to_owned(), Arc::default())
}

#[test]
fn json_lines_say_which_trace_they_belong_to() {
    let record = of(&format!(
        "{{\"trace_id\":\"{TRACE}\",\"span_id\":\"00f067aa0ba902b7\",\"severity\":\"ERROR\",\"n\":{{\"a\":[1]}}}}"
    ));
    assert_eq!(record.trace, Some((trace_id(TRACE).unwrap(), span_id("00f067aa0ba902b7"))));
    assert_eq!(record.severity, Some(Severity::Error));
    let loose = of(&format!("{{\"trace_id\":\"{TRACE}\",\"span_id\":7,\"level\":30}}"));
    assert_eq!((loose.trace, loose.severity), (Some((trace_id(TRACE).unwrap(), None)), None));
    for other in ["text", "{", "{}", "{\"trace_id\":\"0\"}", "{\"trace_id\":null}", "[1]", ""] {
        let record = of(other);
        assert_eq!((record.trace, record.severity, record.body.as_str()), (None, None, other));
    }
}

proptest! {
    #[test]
    fn no_line_is_too_strange(line in "(\\{)?.{0,100}", bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..100)) {
        prop_assert_eq!(&of(&line).body, &line);
        of(&String::from_utf8_lossy(&bytes));
        let deep = "[".repeat(10_000);
        of(&format!("{{\"a\":{deep}"));
    }
}
