//! One conversation with one holder: what it has, its outline if none is known yet, and piece after piece.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use types::PublicKey;

use super::board::{Next, SessionId};
use super::crowd::Ended;
use super::download::Download;
use super::holders::{Duplex, Holders};
use super::outline::{Outline, PIECE};
use super::serve::{PART, in_time};
use super::stage::Step;
use super::wire::{HEAD, Have, Head, Request};

/// How many pieces are asked of one holder ahead of what has come: so the line is never idle.
const AHEAD: usize = 4;
/// A holder's usual time for a piece, before it has sent one.
const UNKNOWN: Duration = Duration::from_secs(1);

/// A conversation.
pub struct Session {
    pub download: Arc<Download>,
    pub peer: PublicKey,
    pub id: SessionId,
    /// What is asked and hasn't come.
    asked: VecDeque<(u32, Instant)>,
    /// Which turn of the download the above belongs to.
    turn: u64,
    /// How many pieces it has brought.
    brought: u32,
    usual: Duration,
}

/// Talks to a holder for as long as that is of use. Returns how it ended, and how many pieces came of it.
pub async fn run(
    download: Arc<Download>,
    holders: &dyn Holders,
    peer: PublicKey,
    id: SessionId,
) -> (Ended, u32) {
    let asked = VecDeque::new();
    let mut session = Session { download, peer, id, asked, turn: 0, brought: 0, usual: UNKNOWN };
    let ended = session.talk(holders).await.unwrap_or_else(|error| Ended::Failed(error.to_string()));
    for (index, _) in &session.asked {
        session.download.without(session.turn, session.id, *index);
    }
    (ended, session.brought)
}

impl Session {
    async fn talk(&mut self, holders: &dyn Holders) -> io::Result<Ended> {
        let idle = self.download.limits().idle;
        let stream = in_time(idle, holders.open(self.peer)).await?;
        let mut line = Line { stream, idle };
        line.ask(&[Request::Have(self.download.digest())]).await?;
        let have = match line.head().await? {
            Head::Have(length) => line.content(length).await?,
            Head::No => return Ok(Ended::Without),
            Head::Busy => return Ok(Ended::Busy),
            _ => return Ok(self.blame("it answered something else than was asked")),
        };
        let Some(have) = Have::decode(&have) else {
            return Ok(self.blame("it says that it has what can't be"));
        };
        self.download.heard(self.peer, &have);
        if self.download.wants_outline(&have.outline)
            && let Some(ended) = self.outline(&mut line, &have).await?
        {
            return Ok(ended);
        }
        let Some(turn) = self.download.follows(&have.outline) else { return Ok(Ended::Other) };
        self.turn = turn;
        self.pieces(&mut line, &have).await
    }

    /// Gets the outline, and proposes it.
    async fn outline(&mut self, line: &mut Line, have: &Have) -> io::Result<Option<Ended>> {
        line.ask(&[Request::Outline(self.download.digest())]).await?;
        let encoded = match line.head().await? {
            Head::Outline(length) => line.content(length).await?,
            // it had it a moment ago
            Head::No => return Ok(Some(Ended::Without)),
            _ => return Ok(Some(self.blame("it answered something else than was asked"))),
        };
        let Some(outline) = Outline::decode(&encoded) else {
            return Ok(Some(self.blame("its list of pieces is none")));
        };
        if outline.id() != have.outline || outline.size() != have.size {
            // a holder that is still fetching may have turned to another list meanwhile
            return Ok(Some(match have.pieces {
                Some(_) => Ended::Nothing,
                None => self.blame("its list of pieces is another than it said"),
            }));
        }
        self.download.adopt(outline).await;
        Ok(None)
    }

    async fn pieces(&mut self, line: &mut Line, have: &Have) -> io::Result<Ended> {
        let mut changed = self.download.changes();
        let mut ahead = 1;
        loop {
            changed.mark_unchanged();
            let (requests, step) = self.choose(have, ahead);
            if self.asked.is_empty() {
                match step {
                    Step::Again => return Ok(Ended::Again),
                    Step::Do(Next::Nothing) if have.pieces.is_some() => return Ok(Ended::Nothing),
                    Step::Do(Next::Wait(until)) => wait(&mut changed, until).await,
                    // a holder of the whole will have whatever another turns out not to bring
                    Step::Do(_) => wait(&mut changed, Instant::now() + UNKNOWN).await,
                }
                continue;
            }
            line.ask(&requests).await?;
            match line.head().await? {
                Head::Piece(length) => {
                    if let Some(ended) = self.receive(line, length).await? {
                        return Ok(ended);
                    }
                    ahead = AHEAD.min(ahead + 1);
                }
                Head::Busy => return Ok(Ended::Busy),
                Head::No => return Ok(Ended::Nothing),
                _ => return Ok(self.blame("it answered something else than was asked")),
            }
        }
    }

    /// What to ask for, until `ahead` pieces are asked; and why no more.
    fn choose(&mut self, have: &Have, ahead: usize) -> (Vec<Request>, Step) {
        let (digest, outline) = (self.download.digest(), have.outline);
        let mut requests = Vec::new();
        let mut step = Step::Do(Next::Nothing);
        while self.asked.len() < ahead {
            let now = Instant::now();
            step = self.download.next(self.turn, self.id, have, self.usual);
            let Step::Do(Next::Ask(first)) = step else { break };
            self.asked.push_back((first, now));
            requests.push(Request::Pieces { digest, outline, first, count: 1 });
        }
        (requests, step)
    }

    /// Takes a piece off the line, and leaves it to others to check and write it while the next one comes.
    async fn receive(&mut self, line: &mut Line, length: usize) -> io::Result<Option<Ended>> {
        let Some(&(index, since)) = self.asked.front() else {
            return Ok(Some(self.blame("it sent what was not asked for")));
        };
        let Some(mut room) = self.download.room(self.turn).await else { return Ok(Some(Ended::Again)) };
        if length != room.partial.outline().length(index) {
            return Ok(Some(self.blame("it sent a piece of another size than its list says")));
        }
        room.buffer.resize(length, 0);
        for part in room.buffer.chunks_mut(PART) {
            in_time(line.idle, line.stream.read_exact(part)).await?;
        }
        self.usual = (self.usual.min(UNKNOWN) + since.elapsed()) / 2;
        self.asked.pop_front();
        self.brought += 1;
        self.download.take(self.peer, self.id, index, room);
        Ok(None)
    }

    fn blame(&self, why: &str) -> Ended {
        self.download.blame(self.peer, why);
        Ended::Failed(why.to_owned())
    }
}

/// The stream, with its time limits.
struct Line {
    stream: Box<dyn Duplex>,
    idle: Duration,
}

impl Line {
    async fn ask(&mut self, requests: &[Request]) -> io::Result<()> {
        if requests.is_empty() {
            return Ok(());
        }
        let bytes: Vec<u8> = requests.iter().flat_map(Request::encode).collect();
        in_time(self.idle, async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        })
        .await
    }

    async fn head(&mut self) -> io::Result<Head> {
        let mut head = [0; HEAD];
        in_time(self.idle, self.stream.read_exact(&mut head)).await?;
        let head = Head::decode(head);
        head.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it sent what is no answer"))
    }

    async fn content(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut content = vec![0; length.min(PIECE)];
        in_time(self.idle, self.stream.read_exact(&mut content)).await?;
        Ok(content)
    }
}

/// Until something changes, or a time.
async fn wait(changed: &mut watch::Receiver<()>, until: Instant) {
    // the sender lives as long as the download does
    let _ = tokio::time::timeout_at(until.into(), changed.changed()).await;
}
