//! A plant for the controller: replicas that take one request at a time, edges that count, and decisions that take
//! effect after a while. Every event has its time, nothing is waited for.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::super::*;

/// How often edges look, and how long a replica takes to start.
const LOOK: f64 = 0.25;
const START: f64 = 0.15;

/// Chance from a seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() * n as f64) as usize
    }
}

struct Replica {
    ready_at: f64,
    /// When each request that it has will be answered, and at which edge.
    queue: VecDeque<(f64, usize, f64)>,
    leaving: bool,
}

pub(super) struct Plant {
    pub service: f64,
    pub budget: f64,
    pub bounds: (u32, u32),
    pub now: f64,
    /// How many replicas were wanted, whenever that changed.
    pub history: Vec<(f64, u32)>,
    /// Of each second: answers, and those that were too late.
    pub answers: BTreeMap<u64, (u64, u64)>,
    replicas: Vec<Replica>,
    edges: Vec<(Load, Counts)>,
    published: u64,
    /// How far each edge is in its round.
    turns: Vec<usize>,
    rng: Chance,
    steady: bool,
}

impl Plant {
    pub(super) fn new(edges: usize, bounds: (u32, u32), scale: &Scale, seed: u64) -> Self {
        let load = || (Load::new(scale, bounds.0 == 0, Duration::ZERO), Counts::default());
        let first = Replica { ready_at: 0.0, queue: VecDeque::new(), leaving: false };
        Self {
            service: 0.02,
            budget: scale.budget().unwrap().as_secs_f64(),
            bounds,
            now: 0.0,
            history: vec![(0.0, 1)],
            answers: BTreeMap::new(),
            replicas: vec![first],
            edges: (0..edges).map(|_| load()).collect(),
            published: 0,
            turns: vec![0; edges],
            rng: Chance(seed),
            steady: false,
        }
    }

    /// Requests come at even times instead of by chance.
    pub(super) fn steady(mut self) -> Self {
        self.steady = true;
        self
    }

    pub(super) fn wanted(&self) -> u32 {
        self.history.last().unwrap().1
    }

    pub(super) fn published(&self) -> u64 {
        self.published
    }

    /// The share of answers that were too late from one second to another.
    pub(super) fn late(&self, from: u64, to: u64) -> f64 {
        let (all, late) = self.answers.range(from..to).fold((0, 0), |(a, l), (_, (x, y))| (a + x, l + y));
        if all == 0 { 0.0 } else { late as f64 / all as f64 }
    }

    /// How often what was wanted changed its direction from `from` on.
    pub(super) fn turns(&self, from: f64) -> usize {
        let steps: Vec<bool> = self
            .history
            .windows(2)
            .filter(|pair| pair[1].0 >= from)
            .map(|pair| pair[1].1 > pair[0].1)
            .collect();
        steps.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }

    /// Lets `seconds` pass at the rate that `rate` gives for each moment.
    pub(super) fn run(&mut self, seconds: f64, rate: impl Fn(f64) -> f64) {
        let (begin, end) = (self.now, self.now + seconds);
        let mut arrival = begin + self.gap(rate(0.0));
        let mut look = begin + LOOK;
        while self.now < end {
            self.now = arrival.min(look).min(end);
            self.answer();
            if self.now >= arrival {
                self.arrive();
                arrival = self.now + self.gap(rate(self.now - begin));
            }
            if self.now >= look {
                self.look();
                look += LOOK;
            }
        }
    }

    fn gap(&mut self, rate: f64) -> f64 {
        if rate <= 0.0 {
            return 0.5;
        }
        let chance: f64 = self.rng.next().max(1e-9);
        if self.steady { 1.0 / rate } else { -chance.ln() / rate }
    }

    fn arrive(&mut self) {
        let edge = self.rng.below(self.edges.len());
        self.turns[edge] += 1;
        let place = self.turns[edge];
        let now = self.now;
        let takes = |replica: &&mut Replica| !replica.leaving && replica.ready_at <= now;
        let mut ready: Vec<&mut Replica> = self.replicas.iter_mut().filter(takes).collect();
        let counts = &mut self.edges[edge].1;
        if ready.is_empty() {
            return;
        }
        let first = place % ready.len();
        let second = (first + 1) % ready.len();
        let chosen = if ready[second].queue.len() < ready[first].queue.len() { second } else { first };
        let queue = &mut ready[chosen].queue;
        let begins = queue.back().map_or(now, |(end, ..)| end.max(now));
        counts.started += 1;
        counts.open += 1;
        queue.push_back((begins + self.service, edge, now));
    }

    fn answer(&mut self) {
        for replica in &mut self.replicas {
            while let Some((end, edge, began)) =
                replica.queue.front().copied().filter(|(end, ..)| *end <= self.now)
            {
                replica.queue.pop_front();
                let counts = &mut self.edges[edge].1;
                counts.open -= 1;
                counts.ended += 1;
                let (slow, late) = (end - began > self.budget, end - began > self.budget / 2.0);
                counts.slow += u64::from(slow);
                counts.late += u64::from(late);
                let second = self.answers.entry(end as u64).or_default();
                second.0 += 1;
                second.1 += u64::from(slow);
            }
        }
        self.replicas.retain(|replica| !replica.leaving || !replica.queue.is_empty());
    }

    fn look(&mut self) {
        let now = Duration::from_secs_f64(self.now);
        let ready =
            self.replicas.iter().filter(|one| !one.leaving && one.ready_at <= self.now).count() as u32;
        let said: Vec<Figure> =
            self.edges.iter().map(|(load, _)| load.said().copied().unwrap_or_default()).collect();
        for (index, (load, counts)) in self.edges.iter_mut().enumerate() {
            let others = said.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, said)| said);
            let around = Around {
                ready,
                wanted: self.history.last().unwrap().1,
                floor: self.bounds.0.max(1),
                others_milli: others.clone().map(|said| said.rate_milli).sum(),
                pace_milli: others.map(|said| said.pace_milli).filter(|pace| *pace > 0).min().unwrap_or(0),
                said_milli: 0,
                metric_milli: None,
                hosts: index == 0,
            };
            self.published += u64::from(load.note(now, *counts, &around).is_some());
        }
        let need: u64 =
            self.edges.iter().map(|(load, _)| load.said().map_or(0, |said| said.need_milli)).sum();
        let wanted = (need.div_ceil(1000) as u32).clamp(self.bounds.0, self.bounds.1);
        if wanted != self.wanted() {
            self.history.push((self.now, wanted));
        }
        let mut there: Vec<usize> =
            (0..self.replicas.len()).filter(|at| !self.replicas[*at].leaving).collect();
        while (there.len() as u32) < wanted {
            let ready_at = self.now + START;
            there.push(self.replicas.len());
            self.replicas.push(Replica { ready_at, queue: VecDeque::new(), leaving: false });
        }
        for at in there.drain(wanted as usize..) {
            self.replicas[at].leaving = true;
        }
    }
}
