//! The group of the next workload, made before anybody asks for it: making groups, with their limits and programs, is a
//! good part of what a start takes.
//!
//! There is one at most, with nobody in it and, where programs stand at it, nothing to reach. It is called after no
//! workload: the kernel gives groups of v2 no other name. Whoever finds it gone or can't change it makes another.

use std::io;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use super::budget::Held;
use super::server::Server;
use crate::cgroup::{Doors, Limits};

/// How long after a start the next group is made: the one that was started, and others that are to be, come first.
const AFTER_START: Duration = Duration::from_millis(5);

/// A group that nobody is in, with the ways into it.
#[derive(Debug)]
pub(super) struct Place {
    pub held: Held,
    pub doors: Doors,
    /// Whether programs stand at it.
    pub guarded: bool,
}

/// What is made ahead.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    place: Option<Place>,
    /// What the last workload was held to: most likely the next one is, too.
    limits: Limits,
    /// When it is to be made.
    pub due: Option<Instant>,
    /// How many groups there were.
    count: u64,
}

impl Server {
    /// A group with these limits: the one that is there, or a new one.
    pub fn place(&mut self, limits: &Limits) -> io::Result<Place> {
        self.ahead.limits = *limits;
        self.ahead.due = Some(Instant::now() + AFTER_START);
        if let Some(mut place) = self.ahead.place.take()
            && place.held.group.is_there()
            && place.held.change(limits).is_ok()
        {
            return Ok(place);
        }
        self.make_place(limits)
    }

    /// Makes the next one, when that is due.
    pub fn make_ahead(&mut self, now: Instant) {
        if self.leaving.is_some() || self.ahead.due.is_none_or(|due| now < due) {
            return;
        }
        self.ahead.due = None;
        if self.ahead.place.is_none() {
            let limits = self.ahead.limits;
            // Why it can't be is said when it has to be.
            let place = self.make_place(&limits).ok();
            self.ahead.place = place.map(|mut place| {
                let group = place.doors.into.as_ref();
                if let (Some(Ok(programs)), Some(group)) = (&self.programs, group) {
                    place.guarded = programs.stand(group.as_fd()).is_ok();
                }
                place
            });
        }
    }

    /// A workload has ended: now there is time.
    pub fn plan_ahead(&mut self) {
        if self.ahead.count > 0 {
            self.ahead.due = Some(Instant::now());
        }
    }

    /// Removes it.
    pub fn drop_ahead(&mut self) {
        self.ahead.place = None;
        self.ahead.due = None;
    }

    fn make_place(&mut self, limits: &Limits) -> io::Result<Place> {
        self.ahead.count += 1;
        let group = self.cgroups.group(&format!("replica-{}", self.ahead.count), limits)?;
        let held = Held::new(group, *limits);
        let doors = held.group.doors()?;
        Ok(Place { held, doors, guarded: false })
    }
}
