//! A worker's own copy of the routing table, with its idle connections: looked up without a lock.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use types::AppName;

use crate::endpoint::Endpoint;
use crate::io::Far;
use crate::mux::client::Link;
use crate::routes::{App, Route, Snapshot};
use crate::table::{Balance, Scaling};

/// A far replica must have so many fewer open requests than a near one to be better, where both are used.
const AHEAD: usize = 2;
/// Far below the largest number, so that a place in the round can be added to.
const TURNS: usize = usize::MAX / 2;

/// One version of the table.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub version: u64,
    apps: HashMap<AppName, Rc<Service>>,
}

/// An app and where it is served.
#[derive(Debug)]
pub(crate) struct Service {
    pub app: Arc<App>,
    /// The far ones stand last.
    upstreams: Vec<Rc<Upstream>>,
    /// How many are not far.
    near: usize,
    balance: Balance,
    elastic: bool,
    pub scaling: Option<Arc<Scaling>>,
}

/// An endpoint with this worker's connections to it.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub endpoint: Arc<Endpoint>,
    idle: RefCell<Vec<Idle>>,
    /// The HTTP/2 connection, or idle HTTP/1 ones, of requests that came over HTTP/2.
    pub link: Link,
}

#[derive(Debug)]
struct Idle {
    io: Far,
    since: Instant,
}

/// A request that is counted as open on an endpoint, until this is dropped.
#[derive(Debug)]
pub(crate) struct Open {
    pub upstream: Rc<Upstream>,
    worker: usize,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.upstream.endpoint.leave(self.worker);
    }
}

impl View {
    /// Makes a view of `snapshot`, keeping the connections of `before`; those of endpoints that left are closed.
    pub(crate) fn new(snapshot: &Snapshot, before: &Self) -> Self {
        let mut known: HashMap<*const Endpoint, Rc<Upstream>> = HashMap::new();
        for upstream in before.upstreams() {
            known.insert(Arc::as_ptr(&upstream.endpoint), upstream.clone());
        }
        let mut apps = HashMap::with_capacity(snapshot.apps.len());
        for Route { app, endpoints, scaling } in &snapshot.apps {
            let (near, far): (Vec<_>, Vec<_>) = endpoints
                .iter()
                .map(|e| known.remove(&Arc::as_ptr(e)).unwrap_or_else(|| Rc::new(Upstream::new(e.clone()))))
                .partition(|upstream| !upstream.endpoint.far);
            let elastic = scaling.as_ref().is_some_and(|scaling| scaling.elastic);
            let balance = if elastic { Balance::LeastOfTwo } else { snapshot.balance };
            let (split, scaling) = (near.len(), scaling.clone());
            let upstreams = [near, far].concat();
            let service = Service { app: app.clone(), upstreams, near: split, balance, elastic, scaling };
            apps.insert(app.name.clone(), Rc::new(service));
        }
        for left in known.into_values() {
            left.close_idle();
        }
        Self { version: snapshot.version, apps }
    }

    pub(crate) fn service(&self, app: &[u8]) -> Option<&Rc<Service>> {
        self.apps.get(std::str::from_utf8(app).ok()?)
    }

    /// The app of a mapped host name.
    pub(crate) fn service_of_host(
        &self,
        hosts: &BTreeMap<String, AppName>,
        name: &[u8],
    ) -> Option<&Rc<Service>> {
        if hosts.is_empty() {
            return None;
        }
        let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
        self.apps.get(hosts.get(&name)?)
    }

    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Rc<Upstream>> {
        self.apps.values().flat_map(|s| &s.upstreams)
    }

    /// The names of the apps, for people.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.apps.keys().map(AppName::as_str).collect();
        names.sort_unstable();
        names
    }
}

impl Service {
    /// Chooses an endpoint that isn't in `tried` and counts a request as open on it. Far ones come into question
    /// when there is no other, those set aside when there is none but such; draining ones never do.
    pub(crate) fn pick(&self, worker: usize, tried: &[Rc<Upstream>]) -> Option<Open> {
        let place = if self.upstreams.len() > 1 { self.app.next() % TURNS } else { 0 };
        let (near, far) = self.upstreams.split_at(self.near);
        if self.elastic
            && let (Some(one), Some(other)) = (lighter(near, place), lighter(far, place))
            && one.endpoint.open() >= other.endpoint.open() + AHEAD
            && let Some(open) = self.pick_of(far, place, false, worker, tried)
        {
            return Some(open);
        }
        for also_aside in [false, true] {
            for tier in [near, far] {
                if let Some(open) = self.pick_of(tier, place, also_aside, worker, tried) {
                    return Some(open);
                }
            }
        }
        None
    }

    /// Chooses among some, from the `place` of the round on.
    fn pick_of(
        &self,
        some: &[Rc<Upstream>],
        place: usize,
        also_aside: bool,
        worker: usize,
        tried: &[Rc<Upstream>],
    ) -> Option<Open> {
        let n = some.len();
        let fits = |upstream: &&Rc<Upstream>| {
            (also_aside || !upstream.endpoint.is_aside())
                && !tried.iter().any(|t| Rc::ptr_eq(t, upstream))
                && upstream.endpoint.enter(worker)
        };
        let may = self.balance == Balance::LeastOfTwo && !also_aside;
        let lighter = may.then(|| lighter(some, place)).flatten();
        let in_turn = (0..n).map(|step| &some[(place + step) % n]);
        let upstream = lighter.into_iter().chain(in_turn).find(fits)?.clone();
        Some(Open { upstream, worker })
    }
}

/// The lighter of two in turn.
fn lighter(some: &[Rc<Upstream>], place: usize) -> Option<&Rc<Upstream>> {
    let n = some.len();
    (n > 0).then(|| less_loaded(&some[place % n], &some[(place + 1) % n]))
}

fn less_loaded<'a>(one: &'a Rc<Upstream>, other: &'a Rc<Upstream>) -> &'a Rc<Upstream> {
    let better = other.endpoint.open() < one.endpoint.open();
    if better { other } else { one }
}

impl Upstream {
    fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint, idle: RefCell::default(), link: Link::default() }
    }

    /// The connection that was used last, and when.
    pub(crate) fn take_idle(&self) -> Option<(Far, Instant)> {
        self.idle.borrow_mut().pop().map(|idle| (idle.io, idle.since))
    }

    /// Keeps a connection for the next request, unless there are enough or the endpoint drains.
    pub(crate) fn give_idle(&self, io: Far, since: Instant, most: usize) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < most && !self.endpoint.is_draining() {
            idle.push(Idle { io, since });
        }
    }

    /// Closes connections that have been idle since before `since`; says whether any is left.
    pub(crate) fn prune(&self, since: Instant) -> bool {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|idle| idle.since >= since);
        !idle.is_empty() | self.link.prune(since)
    }

    pub(crate) fn close_idle(&self) {
        self.idle.borrow_mut().clear();
        self.link.close();
    }
}
