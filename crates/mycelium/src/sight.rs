//! Sight: what this machine's replicas do, as programs in the kernel tell it.
//!
//! One task holds the eyes ([`Watch`]); whoever wants to know asks it. It decides nothing, and without it nothing but the
//! sight is lost: what replicas may reach is held by the kernel and the keeper.

mod finding;
mod refusals;
mod sampled;
mod text;
mod told;

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent::Born;
use membrane::GroupAt;
use membrane::bpf::{Processes, Sighting, Traffic, Watch};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::Instant;
use types::{AppName, NodeName, ReplicaName};

use crate::api::Trace;
use crate::clock::SystemClock;
use crate::events::EventLog;
use refusals::Refusals;

pub(crate) use finding::find;
pub(crate) use sampled::{Glances, notes};
pub(crate) use text::text;

/// How long what happens is gathered before it is looked at: whoever makes it happen thousands of times a second wakes us
/// only so often.
const GATHERED: Duration = Duration::from_millis(20);
/// How often it is looked whether groups are gone, and whether something was lost.
const TIDIED: Duration = Duration::from_secs(2);
/// How much of a group that is not known yet is kept until it is.
const EARLY: usize = 4096;
/// For how long.
const EARLY_FOR: Duration = Duration::from_secs(5);
/// How many pieces a slow reader may lag behind.
const LAG: usize = 1024;
/// How often there are glances at replicas, where that is all there is to see.
const EVERY: Duration = Duration::from_millis(250);
/// How many questions may wait.
const ASKED: usize = 1024;

/// A replica whose group is to be watched.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) node: NodeName,
    pub(crate) app: AppName,
    pub(crate) replica: ReplicaName,
    /// Its group in the v2 hierarchy.
    pub(crate) group: GroupAt,
}

impl Watched {
    /// A replica whose process was just started.
    pub(crate) fn born(born: Born) -> Self {
        let Born { node, app, replica, group } = born;
        Self { node, app, replica, group }
    }
}

/// What was counted in a replica's group since it was made; of its processes, since this `mesh` watches.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    pub(crate) watched: Arc<Watched>,
    pub(crate) traffic: Traffic,
    pub(crate) processes: Processes,
}

enum Ask {
    /// Replicas' groups are made in this one.
    Below(PathBuf, oneshot::Sender<()>),
    Watch(Watched),
    Count(oneshot::Sender<Vec<Counted>>),
    /// Somebody follows, or does not any more.
    Followed,
}

/// What was told at once, and how much was before it.
#[derive(Debug, Clone)]
struct Piece {
    before: u64,
    traces: Arc<[Trace]>,
}

/// The way to the one who sees; cheap to clone.
#[derive(Clone)]
pub(crate) struct Sight {
    ask: mpsc::Sender<Ask>,
    told: broadcast::Sender<Piece>,
    /// Why there are only glances here.
    lack: Option<Arc<str>>,
}

/// What is asked of one who sees, and where that is told.
pub(crate) struct Asked {
    asked: mpsc::Receiver<Ask>,
    told: broadcast::Sender<Piece>,
}

impl Asked {
    /// Waits for a question, which has no answer here; `None` when nobody can ask any more.
    async fn next(&mut self) -> Option<()> {
        self.asked.recv().await.map(drop)
    }

    /// Nor have those that wait.
    fn pass_over(&mut self) {
        while self.asked.try_recv().is_ok() {}
    }
}

/// The one who sees.
pub(crate) struct Eyes {
    asked: mpsc::Receiver<Ask>,
    told: broadcast::Sender<Piece>,
    /// How much was told so far.
    total: u64,
    watch: Watch,
    /// The group below which processes are seen.
    below: Option<PathBuf>,
    groups: BTreeMap<u64, Group>,
    /// What happened in groups that nobody has named yet.
    early: VecDeque<(Instant, Sighting)>,
    refusals: Refusals,
    events: EventLog,
}

struct Group {
    watched: Arc<Watched>,
    /// What was counted and not told, when it was last looked.
    untold: u64,
    /// It was gone when it was last looked: what happened in it to the last may be on its way yet.
    gone: bool,
}

/// Opens the eyes, where the kernel gives them; else there are glances. Needs a runtime.
pub(crate) fn open(events: EventLog) -> (Sight, Result<Eyes, Glances>) {
    let (ask, asked) = mpsc::channel(ASKED);
    let (told, _) = broadcast::channel(LAG);
    match membrane::bpf::possible() {
        Ok(()) => {
            let (watch, told_by) = (Watch::new(), told.clone());
            let (groups, early, refusals) = (BTreeMap::new(), VecDeque::new(), Refusals::default());
            let eyes =
                Eyes { asked, told: told_by, total: 0, watch, below: None, groups, early, refusals, events };
            (Sight { ask, told, lack: None }, Ok(eyes))
        }
        Err(why) => {
            tracing::info!(%why, "what replicas do is seen here by glances only");
            let asked = Asked { asked, told: told.clone() };
            let lack = Some(why.as_str().into());
            (Sight { ask, told, lack }, Err(Glances { asked, total: 0, why, known: None }))
        }
    }
}

/// What is told from now on; the eyes may look away when it is dropped.
pub(crate) struct Following {
    /// How much was told up to what was heard last.
    heard: Option<u64>,
    told: broadcast::Receiver<Piece>,
    ask: mpsc::Sender<Ask>,
}

impl Sight {
    /// One that nobody looks for.
    pub(crate) fn blind(why: &str) -> Self {
        Self { ask: mpsc::channel(1).0, told: broadcast::channel(1).0, lack: Some(why.into()) }
    }

    /// Why there are only glances here.
    pub(crate) fn lack(&self) -> Option<&str> {
        self.lack.as_deref()
    }

    /// Replicas' groups are made in this one, and watched from their first program on.
    pub(crate) async fn below(&self, group: PathBuf) {
        let (done, seen) = oneshot::channel();
        // Where nothing is seen, nobody is there to hear it.
        let _ = self.ask.send(Ask::Below(group, done)).await;
        let _ = seen.await;
    }

    /// A replica runs. When too many are told at once, it is not watched.
    pub(crate) fn watch(&self, watched: Watched) {
        if self.lack.is_none() && self.ask.try_send(Ask::Watch(watched)).is_err() {
            tracing::warn!("a replica is not watched: there are too many at once");
        }
    }

    /// What was counted, of every replica that is watched.
    pub(crate) async fn counted(&self) -> Vec<Counted> {
        let (answer, counted) = oneshot::channel();
        let _ = self.ask.send(Ask::Count(answer)).await;
        counted.await.unwrap_or_default()
    }

    /// Follows what happens, connections included.
    pub(crate) async fn follow(&self) -> Following {
        let following = Following { heard: None, told: self.told.subscribe(), ask: self.ask.clone() };
        let _ = self.ask.send(Ask::Followed).await;
        following
    }
}

impl Following {
    /// What was told, and how much before it was missed for slowness; `None` when nobody sees any more.
    pub(crate) async fn next(&mut self) -> Option<(u64, Arc<[Trace]>)> {
        loop {
            match self.told.recv().await {
                Ok(Piece { before, traces }) => {
                    let missed = self.heard.map_or(0, |heard| before - heard);
                    self.heard = Some(before + traces.len() as u64);
                    return Some((missed, traces));
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It is looked again before long, should nobody hear this.
        let _ = self.ask.try_send(Ask::Followed);
    }
}

impl Eyes {
    /// Looks until nobody can ask any more.
    pub(crate) async fn look(mut self) {
        let mut tidy = tokio::time::interval(TIDIED);
        let mut gathered = Instant::now();
        loop {
            let watch = &mut self.watch;
            let next = async {
                tokio::time::sleep_until(gathered).await;
                watch.next().await
            };
            tokio::select! {
                seen = next => {
                    gathered = Instant::now() + GATHERED;
                    self.see(seen);
                }
                ask = self.asked.recv() => match ask {
                    Some(ask) => self.answer(ask),
                    None => return,
                },
                _ = tidy.tick() => self.tidy(),
            }
        }
    }

    fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Below(path, _) if self.below.as_ref() == Some(&path) => {}
            Ask::Below(path, _done) => {
                let opened = File::open(&path).map_err(|error| error.to_string());
                let opened =
                    opened.and_then(|dir| self.watch.trace_below(dir.as_fd()).map_err(|e| e.to_string()));
                if let Err(error) = opened {
                    tracing::warn!(path = %path.display(), error, "what processes do is not seen");
                }
                self.below = Some(path);
            }
            Ask::Watch(watched) => self.add(watched),
            Ask::Count(answer) => drop(answer.send(self.count())),
            Ask::Followed => self.follow(),
        }
    }

    fn follow(&mut self) {
        if let Err(error) = self.watch.want_connections(self.told.receiver_count() > 0) {
            tracing::warn!(%error, "connections are not told");
        }
    }

    /// A group that is gone by now has no traffic to be counted; what its processes did was told.
    fn add(&mut self, watched: Watched) {
        let id = watched.group.id;
        if self.groups.contains_key(&id) {
            return;
        }
        let opened = File::open(&watched.group.path).map_err(|error| error.to_string());
        let added = opened.and_then(|dir| self.watch.add(dir.as_fd()).map_err(|error| error.to_string()));
        if let Err(error) = added {
            tracing::debug!(replica = %watched.replica, error, "what passes to and from a replica is not seen");
        }
        self.groups.insert(id, Group { watched: Arc::new(watched), untold: 0, gone: false });
        let now = Instant::now();
        let (known, early) = self.early.drain(..).partition::<VecDeque<_>, _>(|(_, s)| s.group == id);
        self.early = early;
        let aged = |(at, mut seen): (Instant, Sighting)| {
            seen.ago += now - at;
            seen
        };
        self.see(known.into_iter().map(aged).collect());
    }

    fn see(&mut self, seen: Vec<Sighting>) {
        let (now, mut traces) = (SystemClock.now(), Vec::with_capacity(seen.len()));
        for sighting in seen {
            match self.groups.get(&sighting.group) {
                Some(group) => {
                    let trace = told::trace(&group.watched, sighting, now);
                    if let Some(event) = self.refusals.event(&trace) {
                        self.events.record(event);
                    }
                    traces.push(trace);
                }
                None if self.early.len() < EARLY => self.early.push_back((Instant::now(), sighting)),
                None => {}
            }
        }
        self.tell(traces);
    }

    fn tell(&mut self, traces: Vec<Trace>) {
        if !traces.is_empty() {
            let before = self.total;
            self.total += traces.len() as u64;
            // Nobody may be there to hear it.
            let _ = self.told.send(Piece { before, traces: traces.into() });
        }
    }

    fn count(&self) -> Vec<Counted> {
        let each = self.groups.iter().filter_map(|(id, group)| {
            let (traffic, processes) = (self.watch.traffic(*id).ok()?, self.watch.processes(*id).ok()?);
            Some(Counted { watched: group.watched.clone(), traffic, processes })
        });
        each.collect()
    }

    /// Forgets groups that are gone, and says what was lost.
    fn tidy(&mut self) {
        self.follow();
        self.refusals.forget(SystemClock.now());
        let old = Instant::now().checked_sub(EARLY_FOR);
        self.early.retain(|(at, _)| old.is_none_or(|old| *at > old));
        let watch = &mut self.watch;
        self.groups.retain(|id, group| {
            let long_gone = group.gone;
            group.gone = !group.watched.group.path.exists();
            if long_gone {
                watch.remove(*id);
            }
            !long_gone
        });
        let (now, mut traces) = (SystemClock.now(), Vec::new());
        for counted in self.count() {
            let untold = counted.traffic.untold + counted.processes.untold;
            let known = self.groups.values_mut().find(|group| Arc::ptr_eq(&group.watched, &counted.watched));
            if let Some(group) = known.filter(|group| group.untold < untold) {
                traces.push(told::lost(&group.watched, untold - group.untold, now));
                group.untold = untold;
            }
        }
        self.tell(traces);
    }
}

#[cfg(test)]
mod tests;
