use super::Answer;

fn written(answer: &Answer, keep_alive: bool, to_head: bool) -> String {
    let mut out = Vec::new();
    answer.write(b"id", b"now", keep_alive, to_head, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn an_answer_says_what_and_when_to_come_back() {
    assert_eq!(
        written(&Answer::no_endpoint("billing"), true, false),
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 65\r\n\
         retry-after: 1\r\nconnection: keep-alive\r\nx-mycelium-edge: now\r\nx-request-id: id\r\n\r\n\
         billing has no replica that is ready to take requests\nrequest id\n"
    );
    let to_head = written(&Answer::new(400, "x"), false, true);
    assert!(
        to_head.ends_with("x-request-id: id\r\n\r\n") && to_head.contains("content-length: 13\r\n"),
        "{to_head}"
    );
}

#[test]
fn answers_are_bounded_and_harmless() {
    let names: Vec<String> = (0..1000).map(|i| format!("app-{i}")).collect();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let answer = Answer::no_app(&b"<b>\x1b[31m\xff".repeat(100), &known);
    assert!(answer.text.len() < 400 && answer.text.ends_with("and 980 more"), "{}", answer.text);
    assert!(answer.text.bytes().all(|b| (0x20..0x7f).contains(&b)), "{}", answer.text);
    assert_eq!(Answer::new(400, "\u{e9}".repeat(3000)).text.len(), 2048);
}
