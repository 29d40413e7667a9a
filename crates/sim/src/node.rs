//! Node: one process with its state machines, its disk and its clock.

use std::collections::VecDeque;
use std::time::Duration;

use fabric::net::{Class, Config, CoreAt, Input, Net, Output, PeerId};
use fabric::{Authority, Core, Output as Stored};
use types::{Digest, NodeName, PublicKey, Signer as _, Timestamp};

use crate::checked::{Checked, Shared};
use crate::disk::Disk;
use crate::keeper::Keeper;
use crate::keys;
use crate::mind::Mind;
use crate::world::What;

/// When every simulation begins.
const BEGINNING: u64 = 1_800_000_000_000;

/// What is running.
pub(crate) struct Running {
    pub(crate) core: Core,
    pub(crate) net: Net,
    /// Where nodes plan and run things.
    pub(crate) mind: Option<Mind>,
    /// When it wants to be woken.
    pub(crate) wish: Option<Duration>,
}

pub(crate) struct Node {
    pub(crate) number: usize,
    pub(crate) name: NodeName,
    pub(crate) id: PeerId,
    pub(crate) key: PublicKey,
    pub(crate) running: Option<Running>,
    pub(crate) disk: Disk,
    pub(crate) keeper: Keeper,
    /// What it can promise, in thousandths of a CPU.
    pub(crate) capacity: u64,
    /// How many processes there were before this one.
    pub(crate) life: u64,
    /// The process doesn't run, but is there; what comes meanwhile waits.
    pub(crate) paused: bool,
    pub(crate) waiting: VecDeque<(usize, Class, Vec<u8>)>,
    /// What its own machine has to tell it meanwhile.
    pub(crate) late: Vec<What>,
    /// By how much its clock is off, in milliseconds.
    pub(crate) skew: i64,
}

impl Node {
    pub(crate) fn new(number: usize) -> Self {
        let key = keys::node(number).public_key();
        Self {
            number,
            name: keys::node_name(number),
            id: PeerId::from(key),
            key,
            running: None,
            disk: Disk::default(),
            keeper: Keeper::default(),
            capacity: 10_000,
            life: 0,
            paused: false,
            waiting: VecDeque::new(),
            late: Vec::new(),
            skew: 0,
        }
    }

    pub(crate) fn wall(&self, now: Duration) -> Timestamp {
        let millis = BEGINNING + u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        Timestamp::from_millis(millis.saturating_add_signed(self.skew))
    }

    /// Starts the process from what is on disk.
    pub(crate) fn start(&mut self, authority: Authority, seed: u64, now: Duration) {
        let wall = self.wall(now);
        let mut core = Core::new(keys::mesh(), authority, wall);
        let (outputs, refused) = core.load(self.disk.content(), wall);
        assert!(refused.is_empty(), "node {} wrote what it doesn't read: {refused:?}", self.number);
        self.keep(outputs);
        self.disk.sync();
        self.life += 1;
        let secret = self.secret(seed);
        let number = u16::try_from(self.number % 60_000).unwrap_or_default();
        let config = Config {
            id: self.id,
            name: self.name.clone(),
            addresses: vec![([10, 0, (number >> 8) as u8, number as u8], 7373).into()],
            generation: core.incarnation(),
            seed: *secret.as_bytes(),
        };
        let net = Net::new(config, now);
        self.running = Some(Running { core, net, mind: None, wish: None });
        self.paused = false;
        self.waiting.clear();
        self.late.clear();
    }

    /// From which the chance of this process derives.
    pub(crate) fn secret(&self, seed: u64) -> Digest {
        Digest::of(format!("{seed} {} {}", self.number, self.life).as_bytes())
    }

    pub(crate) fn mind(&mut self) -> Option<&mut Mind> {
        self.running.as_mut()?.mind.as_mut()
    }

    /// One step of the network; writes go to the disk.
    pub(crate) fn step(&mut self, input: Input, now: Duration, checked: &mut Checked) -> Vec<Output> {
        let wall = self.wall(now);
        let Some(running) = &mut self.running else { return Vec::new() };
        let mut outputs = Vec::new();
        let at = CoreAt { core: &mut running.core, now: wall, outputs: &mut outputs };
        let mut store = Shared { at, checked };
        let out = running.net.handle(input, now, &mut store);
        self.keep(outputs);
        out
    }

    /// One step of the store; whether it took the record. What is `awaited` is synced before anybody is told.
    pub(crate) fn submit(&mut self, record: fabric::Record, awaited: bool, now: Duration) -> bool {
        let wall = self.wall(now);
        let Some(running) = &mut self.running else { return false };
        let Ok(verified) = record.verify(&keys::mesh()) else { return false };
        let outputs = running.core.handle(fabric::Input::Submit(verified), wall);
        let taken = outputs.iter().any(|output| matches!(output, Stored::Accepted(receipt) if receipt.new));
        self.keep(outputs);
        if awaited {
            self.disk.sync();
        }
        taken
    }

    fn keep(&mut self, outputs: Vec<Stored>) {
        let writes = outputs.into_iter().filter_map(|output| match output {
            Stored::Write(write) => Some(write),
            _ => None,
        });
        self.disk.write(writes.collect());
    }
}
