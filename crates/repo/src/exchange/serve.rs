//! Answering what is asked on one stream: what is here, its outline, its pieces.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use types::Digest;

use super::Exchange;
use super::outline::Outline;
use super::outlines::Whole;
use super::partial::{Partial, read_piece};
use super::wire::{Have, Head, REQUEST, Request};

/// How many bytes the other side must take within [`Limits::idle`](super::Limits::idle).
pub const PART: usize = 256 << 10;

/// Where pieces come from.
#[derive(Clone)]
enum Source {
    Whole(Whole),
    /// It is being fetched: what has been checked is served already.
    Partial(Arc<Partial>),
}

/// One stream.
struct Session<'a, S> {
    exchange: &'a Exchange,
    stream: S,
    /// The place among those to whom pieces are sent.
    place: Option<OwnedSemaphorePermit>,
    /// What was asked for last.
    source: Option<(Digest, Source)>,
    buffer: Vec<u8>,
}

/// Serves until the stream ends.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(exchange: &Exchange, stream: S) -> io::Result<()> {
    let Some(_among) = exchange.uploads().stream() else {
        return Err(io::Error::other("too many streams are served already"));
    };
    let mut session = Session { exchange, stream, place: None, source: None, buffer: Vec::new() };
    while let Some(request) = session.request().await? {
        match request {
            Request::Have(digest) => session.have(digest).await?,
            Request::Outline(digest) => session.outline(digest).await?,
            Request::Pieces { digest, outline, first, count } => {
                session.pieces(digest, outline, first..first + count).await?;
            }
        }
    }
    session.stream.shutdown().await
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<'_, S> {
    /// The next request; `None` at the end of the stream. A place that isn't used is given up meanwhile.
    async fn request(&mut self) -> io::Result<Option<Request>> {
        let limits = self.exchange.limits();
        let mut bytes = [0; REQUEST];
        let mut filled = 0;
        while filled < REQUEST {
            let wait = if self.place.is_some() { limits.linger.min(limits.idle) } else { limits.idle };
            match timeout(wait, self.stream.read(&mut bytes[filled..])).await {
                Ok(Ok(0)) if filled == 0 => return Ok(None),
                Ok(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read?,
                Err(_) if self.place.take().is_some() => {}
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
        let request = Request::decode(&bytes);
        request.map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "that is no request"))
    }

    async fn have(&mut self, digest: Digest) -> io::Result<()> {
        let Some(source) = self.source(digest).await? else { return self.answer(Head::No, &[]).await };
        let outline = source.outline();
        let pieces = match &source {
            Source::Whole(_) => None,
            Source::Partial(partial) => Some(partial.pieces()),
        };
        let have = Have { size: outline.size(), outline: outline.id(), pieces }.encode();
        self.answer(Head::Have(have.len()), &have).await
    }

    async fn outline(&mut self, digest: Digest) -> io::Result<()> {
        let Some(source) = self.source(digest).await? else { return self.answer(Head::No, &[]).await };
        let encoded = source.outline().encode();
        self.answer(Head::Outline(encoded.len()), &encoded).await
    }

    async fn pieces(&mut self, digest: Digest, outline: Digest, range: Range<u32>) -> io::Result<()> {
        if self.place.is_none() {
            self.place = self.exchange.uploads().place();
        }
        if self.place.is_none() {
            return self.answer(Head::Busy, &[]).await;
        }
        let source = self.source(digest).await?;
        let Some(source) = source.filter(|source| source.outline().id() == outline) else {
            return self.answer(Head::No, &[]).await;
        };
        for index in range {
            if !self.read(&source, index).await? {
                return self.answer(Head::No, &[]).await;
            }
            let bytes = std::mem::take(&mut self.buffer);
            let sent = self.piece(&bytes).await;
            self.buffer = bytes;
            sent?;
        }
        Ok(())
    }

    async fn piece(&mut self, bytes: &[u8]) -> io::Result<()> {
        let uploads = self.exchange.uploads();
        self.answer(Head::Piece(bytes.len()), &[]).await?;
        for part in bytes.chunks(PART) {
            uploads.pace(part.len()).await;
            self.send(part).await?;
        }
        Ok(())
    }

    /// Reads a piece into the buffer; `false` if it isn't here.
    async fn read(&mut self, source: &Source, index: u32) -> io::Result<bool> {
        let (source, mut buffer) = (source.clone(), std::mem::take(&mut self.buffer));
        let (read, buffer) = blocking(move || {
            let read = source.read(index, &mut buffer);
            (read, buffer)
        })
        .await?;
        self.buffer = buffer;
        read
    }

    /// Where to read a spore; one that is whole stays open for the requests that follow.
    async fn source(&mut self, digest: Digest) -> io::Result<Option<Source>> {
        if let Some((of, source @ Source::Whole(_))) = &self.source
            && *of == digest
        {
            return Ok(Some(source.clone()));
        }
        let source = match self.exchange.whole(digest).await? {
            Some(whole) => Some(Source::Whole(whole)),
            None => self.exchange.partial(&digest).map(Source::Partial),
        };
        self.source = source.clone().map(|source| (digest, source));
        Ok(source)
    }

    async fn answer(&mut self, head: Head, content: &[u8]) -> io::Result<()> {
        self.send(&head.encode()).await?;
        self.send(content).await
    }

    /// Sends at most [`PART`] bytes, in time.
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        in_time(self.exchange.limits().idle, self.stream.write_all(bytes)).await
    }
}

impl Source {
    fn outline(&self) -> &Arc<Outline> {
        match self {
            Self::Whole(whole) => &whole.outline,
            Self::Partial(partial) => partial.outline(),
        }
    }

    fn read(&self, index: u32, buffer: &mut Vec<u8>) -> io::Result<bool> {
        match self {
            Self::Whole(whole) if index >= whole.outline.count() => Ok(false),
            Self::Whole(whole) => read_piece(&whole.file, &whole.outline, index, buffer).map(|()| true),
            Self::Partial(partial) => partial.read(index, buffer),
        }
    }
}

/// What came of it in time.
pub async fn in_time<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Work on the disk, where it may block.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)
}
