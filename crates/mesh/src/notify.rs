//! Telling the service manager that we serve, and that we are the ones who do (sd_notify(3)): one datagram, if it asked
//! for one.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// What stands for the socket; one that begins with `@` is abstract.
pub const SOCKET: &str = "NOTIFY_SOCKET";

/// Says that this process serves. To be said before a predecessor ends, or its end is taken for the service's.
pub fn ready() {
    send(format!("MAINPID={}\nREADY=1", std::process::id()).as_bytes());
}

fn send(state: &[u8]) {
    let Some(name) = std::env::var_os(SOCKET) else { return };
    let sent = || -> std::io::Result<()> {
        let address = match name.as_bytes().split_first() {
            Some((b'@', rest)) => SocketAddr::from_abstract_name(rest)?,
            _ => SocketAddr::from_pathname(&name)?,
        };
        UnixDatagram::unbound()?.send_to_addr(state, &address).map(drop)
    };
    if let Err(error) = sent() {
        tracing::warn!(%error, "can't reach the service manager at {SOCKET}");
    }
}
