//! A known number of processes, packets and bytes. Each waits for a line first.

#![expect(unsafe_code, reason = "what the kernel knows of a connection is asked for by number")]
#![expect(clippy::print_stdout, reason = "the test reads what came of it")]

use std::io::{self, BufRead as _, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// How many programs are started side by side.
const SIDE_BY_SIDE: usize = 4;

fn wait() {
    io::stdin().lock().read_line(&mut String::new()).unwrap();
}

/// Starts that many programs, which end at once, and says how many that were in a second.
pub fn storm(count: usize) -> ExitCode {
    wait();
    let begin = Instant::now();
    let run = |_| assert!(Command::new("/bin/true").status().unwrap().success());
    let share = move || (0..count / SIDE_BY_SIDE).for_each(run);
    let threads = [(); SIDE_BY_SIDE].map(|()| std::thread::spawn(share));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    println!("{:.0}", count as f64 / begin.elapsed().as_secs_f64());
    ExitCode::from(7)
}

/// Sends that many bytes by TCP, and waits until all have come. Says how many the kernel sent, some of them twice, and in
/// how many packets (`struct tcp_info`).
pub fn pour(port: u16, bytes: usize) -> ExitCode {
    wait();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let piece = vec![7; 256 << 10];
    (0..bytes / piece.len()).for_each(|_| stream.write_all(&piece).unwrap());
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    let mut info = [0_u8; 208];
    let mut len = info.len() as libc::socklen_t;
    let (fd, place) = (stream.as_raw_fd(), info.as_mut_ptr().cast());
    // SAFETY: the kernel writes as much as there is room for.
    let got = unsafe { libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, place, &raw mut len) };
    assert_eq!((got, len), (0, 208));
    let sent = u64::from_ne_bytes(info[200..208].try_into().unwrap());
    println!("{sent} {}", u32::from_ne_bytes(info[136..140].try_into().unwrap()));
    ExitCode::SUCCESS
}

/// Sends that many datagrams of that many bytes, each after the answer to the one before.
pub fn ask(port: u16, count: usize, bytes: usize) -> ExitCode {
    wait();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    for _ in 0..count {
        socket.send_to(&vec![7; bytes], (Ipv4Addr::LOCALHOST, port)).unwrap();
        socket.recv(&mut [0; 16]).unwrap();
    }
    ExitCode::SUCCESS
}

/// Listens at this port and says so; takes three connections, one after the other, and ends them.
pub fn serve(port: u16) -> ExitCode {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    println!("listening");
    (0..3).for_each(|_| drop(listener.accept().unwrap()));
    ExitCode::SUCCESS
}
