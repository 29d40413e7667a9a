use proptest::prelude::*;

use super::*;

const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn the_example_of_the_specification_is_read_and_written() {
    let context = Context::parse(GOOD.as_bytes()).unwrap();
    assert!(context.is_sampled());
    assert_eq!(trace_id(&GOOD[3..35]), Some(context.trace));
    assert_eq!(span_id(&GOOD[36..52]), Some(context.span));
    assert_eq!(context.text(), GOOD.as_bytes());
    let child = context.child([7; 8], false);
    assert_eq!(child.text(), *b"00-4bf92f3577b34da6a3ce929d0e0e4736-0707070707070707-00");
}

#[test]
fn garbage_is_no_context() {
    let with = |at: usize, text: &str| {
        let mut changed = GOOD.to_owned();
        changed.replace_range(at..at + text.len(), text);
        changed
    };
    let wrong = [
        String::new(),
        "00".to_owned(),
        GOOD[..54].to_owned(),
        format!("{GOOD}-"),
        format!("{GOOD}x"),
        format!(" {GOOD}"),
        with(0, "ff"),
        with(0, "0G"),
        with(2, "_"),
        with(3, "4BF92F"),
        with(3, &"0".repeat(32)),
        with(36, &"0".repeat(16)),
        with(35, "0"),
        with(53, "0x"),
        format!("{}x", with(0, "01")),
    ];
    for text in wrong {
        assert_eq!(Context::parse(text.as_bytes()), None, "{text:?}");
    }
}

#[test]
fn of_a_later_version_is_taken_what_this_one_knows() {
    for text in [GOOD.replacen("00", "01", 1), format!("{}-more", GOOD.replacen("00", "cc", 1))] {
        assert_eq!(Context::parse(text.as_bytes()), Context::parse(GOOD.as_bytes()), "{text}");
    }
    let flags = Context::parse(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff").unwrap();
    assert!(flags.text().ends_with(b"-03"), "unknown bits aren't passed on");
}

fn is_good(lines: &[&str]) -> bool {
    let mut state = State::default();
    lines.iter().for_each(|line| state.see(line.as_bytes()));
    state.is_good()
}

#[test]
fn a_state_is_a_list_of_up_to_32_pairs_without_twins() {
    let many = |n: usize| (0..n).map(|i| format!("k{i}=v")).collect::<Vec<_>>().join(",");
    for good in
        ["", "a=b", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a=1 , b=2,\t,c=x y", "1a@v-_*/=~", &many(32)]
    {
        assert!(is_good(&[good]), "{good:?}");
    }
    assert!(is_good(&["a=1", "b=2"]));
    let long = format!("a={}", "x".repeat(257));
    for bad in ["a", "=b", "a=", "A=b", "a=b=c", "a=1,a=2", "a =b", "a=\x7f", "\u{e4}=1", &many(33), &long] {
        assert!(!is_good(&[bad]), "{bad:?}");
    }
    assert!(!is_good(&["a=1", "a=2"]));
    let lines: Vec<String> = (0..32).map(|i| format!("k{i}={}", "x".repeat(200))).collect();
    assert!(!is_good(&lines.iter().map(String::as_str).collect::<Vec<_>>()), "longer than 4 KiB");
}

proptest! {
    #[test]
    fn whatever_is_read_is_written_so_that_it_reads_alike(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Some(context) = Context::parse(&bytes) {
            prop_assert_eq!(Context::parse(&context.text()), Some(context));
        }
        State::default().see(&bytes);
    }

    #[test]
    fn every_context_survives(trace: [u8; 16], span: [u8; 8], sampled: bool) {
        let context = Context::start(trace, span, sampled);
        let read = Context::parse(&context.text());
        prop_assert_eq!(read, (trace != [0; 16] && span != [0; 8]).then_some(context));
    }

    #[test]
    fn one_wrong_byte_is_another_context_or_none(at in 0..LENGTH, byte: u8) {
        let mut text = *GOOD.as_bytes().first_chunk::<LENGTH>().unwrap();
        let before = text[at];
        text[at] = byte;
        if let Some(read) = Context::parse(&text) {
            let digit = byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            prop_assert!(digit && !matches!(at, 2 | 35 | 52) || byte == before, "{read:?}");
        }
    }
}
