//! What a workload says over the network, and hears.

#![expect(unsafe_code, reason = "it ends in the middle")]
#![expect(clippy::print_stdout, reason = "the test reads what came of it")]

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::ExitCode;
use std::time::Duration;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SendFlags, SocketType};

/// Listens at these addresses, and says back what it hears until its end; a connection that begins with `q` has it listen
/// no more, one with `x` is not to be ended well, one with `w` writes and ends the process with it.
pub fn echo(at: &[String]) -> ExitCode {
    let listeners: Vec<_> = at.iter().map(|at| TcpListener::bind(at).unwrap()).collect();
    println!("listening");
    let all = listeners.into_iter().map(|listener| std::thread::spawn(move || serve(&listener)));
    all.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
    loop {
        std::thread::park();
    }
}

fn serve(listener: &TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        let mut first = [0; 1];
        if stream.read_exact(&mut first).is_err() {
            continue;
        }
        match first {
            [b'q'] => return,
            [b'x'] => rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap(),
            [b'w'] => {
                stream.write_all(&vec![b'w'; 1 << 20]).unwrap();
                // At once, with whatever is open.
                unsafe { libc::_exit(0) }
            }
            _ => drop(std::thread::spawn(move || {
                let mut buffer = vec![0; 64 << 10];
                stream.write_all(&first)?;
                loop {
                    match stream.read(&mut buffer)? {
                        0 => break,
                        count => stream.write_all(&buffer[..count])?,
                    }
                }
                stream.write_all(b"end")?;
                stream.shutdown(Shutdown::Both)
            })),
        }
    }
}

/// Asks everybody of a list, `tcp:ADDRESS:PORT` or `udp:ADDRESS:PORT`; says in a line each who answered what.
pub fn ask(whom: &[String]) -> ExitCode {
    for one in whom {
        let (transport, at) = one.split_once(':').unwrap();
        let at: SocketAddr = at.parse().unwrap();
        let said = if transport == "tcp" { by_tcp(at) } else { by_udp(at) };
        match said {
            Ok(said) => println!("{one}: {said}"),
            Err(error) => println!("{one}: {error}"),
        }
    }
    println!("routes: {}", routes().map_or_else(|error| error.to_string(), |()| "changed".to_owned()));
    ExitCode::SUCCESS
}

fn by_tcp(at: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(at)?;
    let from = stream.peer_addr()?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(b"hello")?;
    stream.shutdown(Shutdown::Write)?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(format!("{said} from {from}"))
}

/// With a socket that isn't connected, so that any answer is heard, whoever it is from.
fn by_udp(at: SocketAddr) -> io::Result<String> {
    let socket = UdpSocket::bind(if at.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    socket.set_read_timeout(Some(Duration::from_secs(if at.port() == 9 { 1 } else { 30 })))?;
    let mut all = 0;
    for size in [5, 60_000] {
        socket.send_to(&vec![b'u'; size], at)?;
        let mut buffer = vec![0; 1 << 16];
        let (count, from) = socket.recv_from(&mut buffer)?;
        if from != at {
            return Ok(format!("an answer of {from}"));
        }
        all += count;
    }
    Ok(format!("{all} bytes"))
}

/// Takes away the route to 127.0.0.0/8 of `lo` (`RTM_DELROUTE`).
fn routes() -> io::Result<()> {
    let socket = rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    let mut bytes = Vec::new();
    bytes.extend(36_u32.to_ne_bytes());
    bytes.extend(25_u16.to_ne_bytes());
    bytes.extend(5_u16.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([libc::AF_INET as u8, 8, 0, 0, 255, 0, 0, 2, 0, 0, 0, 0]);
    bytes.extend(8_u16.to_ne_bytes());
    bytes.extend(1_u16.to_ne_bytes());
    bytes.extend(Ipv4Addr::new(127, 0, 0, 0).octets());
    rustix::net::sendto(&socket, &bytes, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0; 256];
    rustix::net::recv(&socket, &mut answer[..], rustix::net::RecvFlags::empty())?;
    match i32::from_ne_bytes(answer[16..20].try_into().unwrap()) {
        0 => Ok(()),
        number => Err(io::Error::from_raw_os_error(-number)),
    }
}
