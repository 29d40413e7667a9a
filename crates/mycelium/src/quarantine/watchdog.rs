//! The watchdog: a thread of its own that ends the process when a part of it holds on for too long.
//!
//! Time is counted in ticks for which this process really ran: of a process that is stopped, or a machine that has no
//! time for it, nothing is asked.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Quarantine;

/// The patience is so many ticks.
const TICKS: u32 = 40;
/// How long the log may take before the process ends without it: whoever hangs may hold it.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// So many threads are described.
const MAX_THREADS: usize = 64;

/// What is watched.
#[derive(Clone, Default)]
pub(super) struct Slots(Arc<Mutex<Vec<Slot>>>);

struct Slot {
    name: String,
    count: Arc<AtomicU64>,
    /// It must go on at all times, not only while it works.
    always: bool,
}

/// What one part of the process shows of itself: odd while it works.
#[derive(Clone)]
pub(crate) struct Pulse(Arc<AtomicU64>);

/// The running watchdog; it ends with this value.
pub(crate) struct Watchdog {
    _stop: Sender<()>,
}

impl Slots {
    pub(super) fn work(&self, name: String) -> Pulse {
        self.add(name, false)
    }

    pub(super) fn pulse(&self, name: String) -> Pulse {
        self.add(name, true)
    }

    fn add(&self, name: String, always: bool) -> Pulse {
        let count = Arc::new(AtomicU64::new(0));
        let slot = Slot { name, count: Arc::clone(&count), always };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
        Pulse(count)
    }

    /// What everything shows now, and what it is called where it must go on.
    fn look(&self) -> Vec<(u64, Option<String>)> {
        let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let look = |slot: &Slot| {
            let count = slot.count.load(Ordering::Acquire);
            (count, (slot.always || count % 2 == 1).then(|| slot.name.clone()))
        };
        slots.iter().map(look).collect()
    }
}

impl Pulse {
    /// Work begins. It is not begun again before it ends.
    pub(crate) fn begin(&self) {
        self.0.fetch_or(1, Ordering::AcqRel);
    }

    /// It has ended.
    pub(crate) fn end(&self) {
        let count = self.0.load(Ordering::Acquire);
        self.0.store((count | 1).wrapping_add(1), Ordering::Release);
    }
}

impl Watchdog {
    /// Watches from now on what `quarantine` knows.
    pub(crate) fn start(quarantine: &Quarantine, patience: Duration) -> io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let quarantine = quarantine.clone();
        let tick = (patience / TICKS).max(Duration::from_millis(1));
        let watch = move || {
            let mut counting = Counting::default();
            let mut last = Instant::now();
            while stopped.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                let now = Instant::now();
                // Late by a tick: so were the others.
                let ran = now.duration_since(last) < 2 * tick;
                last = now;
                if let Some(name) = counting.tick(quarantine.0.slots.look(), ran) {
                    end(&quarantine, &name, patience);
                }
            }
        };
        std::thread::Builder::new().name("watchdog".into()).spawn(watch)?;
        Ok(Self { _stop: stop })
    }
}

/// For how many ticks each has shown the same.
#[derive(Default)]
pub(super) struct Counting(Vec<(u64, u32)>);

impl Counting {
    /// Counts one tick, if the process ran in it; who has held on for too long.
    pub(super) fn tick(&mut self, shown: Vec<(u64, Option<String>)>, ran: bool) -> Option<String> {
        self.0.resize(shown.len(), (0, 0));
        let mut hangs = None;
        for ((last, ticks), (count, name)) in self.0.iter_mut().zip(shown) {
            match name {
                Some(name) if count == *last => {
                    *ticks += u32::from(ran);
                    if *ticks > TICKS {
                        hangs = Some(name);
                    }
                }
                _ => *ticks = 0,
            }
            *last = count;
        }
        hangs
    }
}

fn end(quarantine: &Quarantine, name: &str, patience: Duration) -> ! {
    let why = format!("hang: {name} did not come back for {patience:?}");
    quarantine.accuse(&why);
    let (said, heard) = channel();
    let speak = move || {
        tracing::error!(
            threads = threads(),
            "{why}: this process ends, for the next start to go on without it"
        );
        let _ = said.send(());
    };
    if std::thread::Builder::new().spawn(speak).is_ok() {
        let _ = heard.recv_timeout(LAST_WORDS);
    }
    std::process::abort()
}

/// The threads of this process: name, state, and time on a processor in ticks of the clock (proc_pid_stat(5)).
fn threads() -> String {
    let describe = |task: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        Some(format!("{name} {} {}", fields.first()?, fields.get(11)?))
    };
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks.take(MAX_THREADS).filter_map(describe).collect::<Vec<_>>().join(", ")
}
