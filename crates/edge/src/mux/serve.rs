//! HTTP/2 connections of clients.
use crate::io::Stream;
use crate::worker::Worker;
use std::net::SocketAddr;
use std::rc::Rc;
pub(crate) async fn serve(_worker: Rc<Worker>, _stream: Stream, _peer: SocketAddr, _read: Vec<u8>) {}
