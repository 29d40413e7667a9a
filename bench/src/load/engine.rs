//! Engine: the event loop of the load.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use super::client::{Client, Outcome};
use super::{Failure, Load, Pace, Tally, Target};
use crate::machine;

/// An answer that takes longer isn't waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts to connect, and two looks for requests that have waited too long.
const TICK: Duration = Duration::from_millis(5);
const TIMER: u64 = u64::MAX;
const BATCH: usize = 256;
/// In nanoseconds.
const TENTH: u64 = 100_000_000;

/// Runs `load` against `target` for its duration, and then for as long as `more` says so of the answers until then.
pub fn run(target: &Target, load: &Load, more: impl FnMut(u64) -> bool) -> io::Result<Tally> {
    if let Some(core) = load.core {
        machine::bind_thread(core)?;
    }
    Engine::new(target, load)?.run(more)
}

struct Engine<'a> {
    target: &'a Target,
    load: &'a Load,
    epoll: OwnedFd,
    timer: OwnedFd,
    clients: Vec<Client>,
    /// Connected, nothing on its way.
    idle: VecDeque<usize>,
    /// Not connected.
    down: Vec<usize>,
    start: Instant,
    /// When the timer will ring, 0 when it has rung.
    armed: u64,
    /// How many requests of an open load have been sent.
    sent: u64,
    /// Since when a connection is idle.
    free_since: u64,
    tally: Tally,
}

impl<'a> Engine<'a> {
    fn new(target: &'a Target, load: &'a Load) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN)?;
        Ok(Self {
            target,
            load,
            epoll,
            timer,
            clients: (0..load.connections).map(|_| Client::new()).collect(),
            idle: VecDeque::new(),
            down: (0..load.connections).rev().collect(),
            start: Instant::now(),
            armed: 0,
            sent: 0,
            free_since: 0,
            tally: Tally::default(),
        })
    }

    fn run(mut self, mut more: impl FnMut(u64) -> bool) -> io::Result<Tally> {
        self.connect_all()?;
        self.start = Instant::now();
        let (mut counting, mut next_tick) = (None, nanos(TICK));
        let end = nanos(self.load.warmup + self.load.duration);
        let mut events = Vec::with_capacity(BATCH);
        loop {
            let now = self.now();
            if counting.is_none() && now >= nanos(self.load.warmup) {
                self.tally = Tally::default();
                counting = Some(now);
            }
            if now >= end && !more(self.tally.answered) {
                self.tally.elapsed = Duration::from_nanos(now - counting.unwrap_or(0));
                return Ok(self.tally);
            }
            if now >= next_tick {
                self.tick(now)?;
                next_tick = now + nanos(TICK);
            }
            self.send_due(now)?;
            self.arm(next_tick.min(end.max(now + 1)))?;
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    TIMER => {
                        self.armed = 0;
                        let _ = rustix::io::read(&self.timer, &mut [0; 8]);
                    }
                    index => self.receive(usize::try_from(index).unwrap_or(usize::MAX))?,
                }
            }
        }
    }

    fn now(&self) -> u64 {
        nanos(self.start.elapsed())
    }

    /// When request number `index` of an open load is due.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "nanoseconds of a bench run"
    )]
    fn due(&self, index: u64) -> Option<u64> {
        match self.load.pace {
            Pace::Closed => None,
            Pace::Open(rate) => Some((index as f64 * 1e9 / rate) as u64),
        }
    }

    /// Sends what can be sent: in a closed load on every idle connection, in an open one what is due.
    fn send_due(&mut self, now: u64) -> io::Result<()> {
        while !self.idle.is_empty() {
            let due = self.due(self.sent).unwrap_or(now);
            if due > now {
                break;
            }
            let Some(index) = self.idle.pop_front() else { break };
            self.sent += 1;
            // one that was due while a connection was idle leaves late through our own fault
            let is_ours = self.load.remote && due >= self.free_since;
            let at = if is_ours { self.now() } else { due };
            self.clients[index].due_at = due;
            self.ask(index, at)?;
        }
        Ok(())
    }

    fn ask(&mut self, index: usize, at: u64) -> io::Result<()> {
        match self.clients[index].ask(self.target, at) {
            Ok(()) => Ok(()),
            Err(failure) => self.fail(index, failure),
        }
    }

    fn receive(&mut self, index: usize) -> io::Result<()> {
        let Some(client) = self.clients.get_mut(index) else { return Ok(()) };
        match client.read(self.target) {
            Outcome::Waiting => Ok(()),
            Outcome::Answered { stays } => {
                let now = nanos(self.start.elapsed());
                let asked_at = client.asked_at.take().unwrap_or(now);
                self.tally.answered += 1;
                let took = now.saturating_sub(nanos(client.waited)).saturating_sub(asked_at);
                self.tally.latency.record(took);
                if self.load.remote {
                    self.tally.seen.record(now.saturating_sub(client.due_at));
                }
                if let Some(budget) = self.load.judge {
                    let of_time = self.tally.judged.entry(asked_at / TENTH).or_default();
                    *of_time = (of_time.0 + 1, of_time.1 + u64::from(took > nanos(budget)));
                }
                if !stays {
                    client.disconnect();
                    self.connect(index)
                } else if matches!(self.load.pace, Pace::Closed) {
                    self.ask(index, now)
                } else {
                    self.free(index);
                    Ok(())
                }
            }
            Outcome::ClosedIdle => {
                self.idle.retain(|other| *other != index);
                self.clients[index].disconnect();
                self.connect(index)
            }
            Outcome::Failed(failure) => self.fail(index, failure),
        }
    }

    fn fail(&mut self, index: usize, failure: Failure) -> io::Result<()> {
        *self.tally.failures.entry(failure).or_default() += 1;
        if self.load.judge.is_some() {
            let at = self.clients[index].asked_at.unwrap_or_else(|| self.now());
            let of_time = self.tally.judged.entry(at / TENTH).or_default();
            *of_time = (of_time.0 + 1, of_time.1 + 1);
        }
        self.clients[index].disconnect();
        self.connect(index)
    }

    fn free(&mut self, index: usize) {
        if self.idle.is_empty() {
            self.free_since = self.now();
        }
        self.idle.push_back(index);
    }

    /// Connects; one that can't is tried again at the next tick.
    fn connect(&mut self, index: usize) -> io::Result<()> {
        match self.clients[index].connect(self.target, self.load.remote) {
            Ok(stream) => {
                epoll::add(&self.epoll, stream, EventData::new_u64(index as u64), EventFlags::IN)?;
                self.free(index);
            }
            Err(_) => self.down.push(index),
        }
        Ok(())
    }

    fn connect_all(&mut self) -> io::Result<()> {
        for index in std::mem::take(&mut self.down) {
            self.connect(index)?;
        }
        if self.down.is_empty() { Ok(()) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
    }

    /// Gives up requests that have waited too long, and tries again to connect.
    fn tick(&mut self, now: u64) -> io::Result<()> {
        let late =
            |client: &Client| client.asked_at.is_some_and(|at| now.saturating_sub(at) > nanos(PATIENCE));
        for index in 0..self.clients.len() {
            if self.clients[index].stream().is_some() && late(&self.clients[index]) {
                self.fail(index, Failure::Timeout)?;
            }
        }
        for index in std::mem::take(&mut self.down) {
            self.connect(index)?;
            if self.clients[index].stream().is_none() {
                *self.tally.failures.entry(Failure::Connect).or_default() += 1;
            }
        }
        Ok(())
    }

    /// Has the kernel wake us when the next request is due, or at `latest`.
    fn arm(&mut self, latest: u64) -> io::Result<()> {
        let due = self.due(self.sent).filter(|_| !self.idle.is_empty());
        let when = due.unwrap_or(latest).min(latest);
        if self.armed == when {
            return Ok(());
        }
        self.armed = when;
        let wait = when.saturating_sub(self.now()).max(1);
        let value = Timespec {
            tv_sec: i64::try_from(wait / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(wait % 1_000_000_000).unwrap_or(0),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
