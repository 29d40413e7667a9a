use super::*;
use proptest::prelude::*;

const TEXT: &str = "# HELP queue_depth Jobs that wait.\n# TYPE queue_depth gauge\nqueue_depth{queue=\"a } \\\" b\",x=\"1\"} 7 1700000000\n\
                    queue_depth_total 99\nqueue_depth 3.5\r\nother{queue_depth=\"8\"} 1\n  queue_depth{} 1e1\n";

#[test]
fn all_samples_of_a_name_and_none_of_another_are_added_up() {
    assert_eq!(value(TEXT.as_bytes(), "queue_depth"), Ok(20.5));
    assert_eq!(value(TEXT.as_bytes(), "queue_depth_total"), Ok(99.0));
    assert_eq!(value(b"x -4\nx 1", "x"), Ok(1.0), "there is no less work than none");
    for (text, said) in [
        ("", "there is no metric x"),
        ("x", "there is no metric x"),
        ("x{a=\"", "x has labels that don't end"),
        ("x seven", "x has the value \"seven\""),
        ("x ", "x has the value \"\""),
        ("x NaN", "x is NaN, which is no amount of work"),
        ("x +Inf", "x is inf, which is no amount of work"),
    ] {
        assert_eq!(value(text.as_bytes(), "x"), Err(said.to_owned()), "{text}");
    }
    assert!(value(b"x \xff", "x").is_err());
}

#[test]
fn only_a_200_has_a_body() {
    assert_eq!(body(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nx 1"), Some(&b"x 1"[..]));
    assert_eq!(body(b"HTTP/1.0 200\n\nx 1\r\n\r\n"), Some(&b"x 1\r\n\r\n"[..]));
    for other in [
        "HTTP/1.1 404 No\r\n\r\nx 1",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\n",
        "",
    ] {
        assert_eq!(body(other.as_bytes()), None, "{other}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_not_read_to_its_end() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                while stream.write_all(&[b'\n'; 65536]).await.is_ok() {}
            });
        }
    });
    let metric =
        Metric { metric: "x".into(), path: "/m".into(), target: 1, aggregate: types::Aggregate::Sum };
    assert_eq!(read(port, &metric).await, Err("GET /m: more than 1048576 bytes".to_owned()));
}

proptest! {
    #[test]
    fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..400), text in "[x{}\"\\\\ 0-9eE.+\n-]{0,200}") {
        let _ = (value(&bytes, "x"), body(&bytes), value(text.as_bytes(), "x"));
        if let Ok(sum) = value(text.as_bytes(), "x") {
            prop_assert!(sum >= 0.0);
        }
    }

    #[test]
    fn what_is_exposed_is_read(samples in prop::collection::vec(("[ -~&&[^\\\\\"]]{0,20}", 0u32..1000), 1..20)) {
        let line = |(label, number): &(String, u32)| format!("jobs{{q=\"{label}\"}} {number}\n");
        let text: String = samples.iter().map(line).collect();
        let sum: u32 = samples.iter().map(|(_, number)| number).sum();
        prop_assert_eq!(value(text.as_bytes(), "jobs"), Ok(f64::from(sum)));
    }
}
