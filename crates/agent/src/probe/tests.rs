use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::*;

/// Answers every connection with `answer` after it has read something; gives its port.
fn server(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut seen = [0; 1024];
            let _ = stream.read(&mut seen);
            let _ = stream.write_all(answer);
        }
    });
    port
}

fn target(port: u16, check: Check) -> Target {
    Target { check, port, listener: std::process::id() }
}

fn http() -> Check {
    Check::Http("/health".into())
}

#[tokio::test]
async fn only_200_is_healthy() {
    for (answer, expected) in [
        (&b"HTTP/1.1 200 OK\r\n\r\n"[..], Ok(())),
        (b"HTTP/1.0 200\r\n\r\n", Ok(())),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Err("GET /health: status 204")),
        (b"HTTP/1.1 503 Busy\r\n\r\n", Err("GET /health: status 503")),
        (b"HTTP/1.1 2000 OK\r\n\r\n", Err("GET /health: the answer is not HTTP/1.1")),
        (b"SSH-2.0-x\r\n", Err("GET /health: the answer is not HTTP/1.1")),
        (b"HTTP/1.1 200", Err("GET /health: the answer is not HTTP/1.1")),
        (b"", Err("GET /health: the answer is not HTTP/1.1")),
    ] {
        let answered = live(&target(server(answer), http())).await;
        assert_eq!(answered, expected.map_err(str::to_owned), "{}", String::from_utf8_lossy(answer));
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    static LONG: [u8; 100_000] = [b'x'; 100_000];
    assert!(live(&target(server(&LONG), http())).await.unwrap_err().contains("not HTTP/1.1"));
}

#[tokio::test]
async fn h2c_is_asked_by_its_preface() {
    assert_eq!(live(&target(server(b"\0\0\0\x04\0\0\0\0\0"), Check::H2c)).await, Ok(()));
    assert!(live(&target(server(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Check::H2c)).await.is_err());
    assert!(live(&target(server(b"\0\0\0\x04\x01\0\0\0\0"), Check::H2c)).await.is_err());
}

#[tokio::test]
async fn what_never_answers_well_says_why_in_time() {
    let port = server(b"HTTP/1.1 503 Busy\r\n\r\n");
    let began = Instant::now();
    let said = ready(&target(port, http()), Duration::from_millis(200)).await;
    assert_eq!(said, Err("not ready within 200 ms: GET /health: status 503".to_owned()));
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_port_that_opens_late_is_found_soon() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let target = target(port, Check::Tcp);
    let asked = tokio::spawn(async move { ready(&target, Duration::from_secs(30)).await });
    tokio::task::yield_now().await;
    let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    assert_eq!(asked.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn an_answer_of_another_process_does_not_count() {
    let port = server(b"HTTP/1.1 200 OK\r\n\r\n");
    let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let foreign = Target { listener: other.id(), ..target(port, http()) };
    let said = ready(&foreign, Duration::from_millis(100)).await;
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(said, Err(format!("not ready within 100 ms: another process listens on its port {port}")));
}

#[test]
fn a_listener_is_found_in_its_process_and_among_its_descendants() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    assert_eq!(owner::listens(std::process::id(), port), Some(true));
    let parent: u32 = std::fs::read_to_string("/proc/self/stat")
        .unwrap()
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.split(' ').nth(1)?.parse().ok())
        .unwrap();
    assert_eq!(owner::listens(parent, port), Some(true));
    drop(listener);
    assert_eq!(owner::listens(std::process::id(), port), None);
}

#[test]
fn a_listener_is_found_whatever_address_it_is_bound_to() {
    for address in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
        let Ok(listener) = TcpListener::bind(address) else { continue };
        let port = listener.local_addr().unwrap().port();
        assert_eq!(owner::listens(std::process::id(), port), Some(true), "{address}");
    }
}

#[tokio::test]
async fn a_service_on_ipv6_alone_is_told_where_to_listen() {
    // A machine without IPv6 has no such services.
    let Ok(listener) = TcpListener::bind("[::1]:0") else { return };
    let port = listener.local_addr().unwrap().port();
    let said = ready(&target(port, Check::Tcp), Duration::from_millis(50)).await;
    let told = format!("it listens on ::1 alone; let it listen on 127.0.0.1:{port}");
    assert_eq!(said, Err(format!("not ready within 50 ms: {told}")));
}
