use super::*;

#[test]
fn names_are_short_and_plain() {
    for good in ["a", "ping", "records/1", "http-2.0", &"x".repeat(32)] {
        assert!(is_name(good), "{good}");
    }
    for bad in ["", "Ping", "a b", "ä", "a\0", &"x".repeat(33)] {
        assert!(!is_name(bad), "{bad:?}");
    }
}

#[test]
fn a_head_reads_back_as_it_was_written() {
    let head = head("records/1");
    assert_eq!(name_length(head[0]), Some(9));
    assert_eq!(name(&head[1..]), Some("records/1"));
    assert_eq!(name_length(0), None);
    assert_eq!(name_length(33), None);
    assert_eq!(name(b"\xff"), None);
}

#[test]
fn a_message_is_at_most_256_kib() {
    assert_eq!(message_length([0, 4, 0, 0]), Ok(MAX_MESSAGE));
    assert_eq!(message_length([0, 4, 0, 1]), Err(MAX_MESSAGE + 1));
    assert_eq!(message_length([255; 4]), Err(u32::MAX as usize));
}

#[test]
fn a_reason_is_cut_between_characters_and_printed_clean() {
    let long = "ä".repeat(150);
    assert_eq!(shorten(&long).len(), 200);
    assert_eq!(shorten("short"), "short");
    assert_eq!(printable(b"a\x1b[31m\nb\xff"), "a [31m b\u{fffd}");
    assert!(printable(&[b'x'; 5_000]).len() <= 200);
}
