use futures_util::FutureExt as _;

use super::*;

fn read(mut bytes: &[u8]) -> Vec<Result<Option<Bytes>, usize>> {
    let mut all = Vec::new();
    loop {
        let one = next(&mut bytes).now_or_never().expect("a slice never waits");
        let last = !matches!(one, Ok(Some(_)));
        all.push(one);
        if last {
            return all;
        }
    }
}

#[test]
fn messages_come_one_after_the_other_and_may_be_empty() {
    let told = read(b"\0\0\0\x02hi\0\0\0\0\0\0\0\x01!");
    let text = |text: &'static str| Ok(Some(Bytes::from(text)));
    assert_eq!(told, [text("hi"), text(""), text("!"), Ok(None)]);
}

#[test]
fn a_torn_message_is_none() {
    assert_eq!(read(b"\0\0\0\x02h"), [Ok(None)]);
    assert_eq!(read(b"\0\0"), [Ok(None)]);
}

#[test]
fn a_length_beyond_the_bound_is_an_error_before_anything_is_allocated() {
    assert_eq!(read(b"\xff\xff\xff\xff"), [Err(u32::MAX as usize)]);
}
