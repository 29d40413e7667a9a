//! A body that one task reads from an HTTP/1 client while another sends it on: one frame at a time.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use hyper::body::Frame;

use super::body::Cut;

#[derive(Debug, Default)]
struct State {
    frame: Option<Result<Frame<Bytes>, Cut>>,
    ended: bool,
    /// The reader is gone.
    unwanted: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The end that is written to.
#[derive(Debug)]
pub(super) struct Writer(Rc<RefCell<State>>);

/// The end that is read from.
#[derive(Debug)]
pub(super) struct Reader(Rc<RefCell<State>>);

/// Makes both ends.
pub(super) fn pipe() -> (Writer, Reader) {
    let state = Rc::new(RefCell::default());
    (Writer(state.clone()), Reader(state))
}

impl Writer {
    /// Ready when a frame can be put, or when nobody wants one any more (`false`).
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<bool> {
        let mut state = self.0.borrow_mut();
        if state.unwanted {
            return Poll::Ready(false);
        }
        if state.frame.is_some() {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(true)
    }

    pub(super) fn put(&self, frame: Result<Frame<Bytes>, Cut>) {
        self.change(|state| state.frame = Some(frame));
    }

    pub(super) fn end(&self) {
        self.change(|state| state.ended = true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.borrow_mut();
        change(&mut state);
        if let Some(waker) = state.reader.take() {
            waker.wake();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.change(|state| {
            if !state.ended && state.frame.is_none() {
                state.frame = Some(Err(Cut::Gone));
            }
            state.ended = true;
        });
    }
}

impl Reader {
    pub(super) fn poll_frame(&self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let mut state = self.0.borrow_mut();
        if let Some(frame) = state.frame.take() {
            if let Some(waker) = state.writer.take() {
                waker.wake();
            }
            return Poll::Ready(Some(frame));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.0.borrow_mut();
        state.unwanted = true;
        if let Some(waker) = state.writer.take() {
            waker.wake();
        }
    }
}
