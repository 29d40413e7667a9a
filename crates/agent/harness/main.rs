//! For the tests: a keeper, as `mesh keeper` is one, and workloads that behave as their environment says.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};

static HEALTH_CHECKS: AtomicU32 = AtomicU32::new(0);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "keeper", "--dir", dir] => membrane::keeper_main(Path::new(dir)),
        [_, "serve"] => serve(),
        [_, "work"] => loop {
            std::thread::park();
        },
        [_, "spin"] => loop {
            std::hint::spin_loop();
        },
        [_, "exit"] => ExitCode::from(number::<u8>("STATUS").unwrap_or(0)),
        _ => ExitCode::from(64),
    }
}

/// Listens on `PORT`. `/health` answers `HEALTH` (200), from the `SICK_AFTER`th check on 500; `/slow` holds its
/// request until somebody connects to the port it names; `/spin` keeps a CPU busy from then on; anything else answers with `GREETING` and the replica.
fn serve() -> ExitCode {
    if let Some(status) = number::<u8>("STATUS") {
        eprint(b"refusing to serve\n");
        return ExitCode::from(status);
    }
    let port: u16 = number("PORT").expect("a service is given a port");
    let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) else {
        eprint(b"address already in use\n");
        return ExitCode::from(98);
    };
    for stream in listener.incoming().map_while(Result::ok) {
        std::thread::spawn(move || answer(stream));
    }
    ExitCode::SUCCESS
}

fn answer(mut stream: TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut chunk = [0; 1024];
        let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        head.extend_from_slice(&chunk[..read]);
    }
    let head = String::from_utf8(head).ok()?;
    let path = head.split(' ').nth(1)?;
    let (status, body) = if path == "/health" {
        let checks = HEALTH_CHECKS.fetch_add(1, Ordering::Relaxed) + 1;
        let sick = number("SICK_AFTER").is_some_and(|limit: u32| checks > limit);
        (if sick { 500 } else { number("HEALTH").unwrap_or(200_u16) }, String::new())
    } else {
        if path == "/spin" {
            std::thread::spawn(|| {
                loop {
                    std::hint::spin_loop();
                }
            });
        }
        if let Some(port) = path.strip_prefix("/slow/").and_then(|port| port.parse().ok()) {
            // Held until the test lets go: by ending this connection.
            let mut held = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
            let _ = held.read(&mut [0]);
        }
        let variable = |name| std::env::var(name).unwrap_or_default();
        (200, format!("{} {}", variable("GREETING"), variable("MESH_REPLICA")))
    };
    let length = body.len();
    let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).ok()
}

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

fn eprint(text: &[u8]) {
    // Nobody reads it: then it is lost.
    let _ = std::io::stderr().write_all(text);
}
