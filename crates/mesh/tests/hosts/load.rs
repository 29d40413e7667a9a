//! Clients that ask without a pause worth the name, over kept-alive connections, and count what fails.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::host::Host;
use crate::http::{Connection, parts};
use crate::node::PATIENCE;

/// Between two requests of one connection: many connections are to leave the machine some time for the mesh.
const PACE: Duration = Duration::from_millis(10);
/// How many failures are told in full.
const TOLD: usize = 8;

/// What came of it.
#[derive(Debug, Default)]
pub struct Load {
    /// Requests that got an answer of status 200.
    pub good: usize,
    /// The others.
    pub failed: usize,
    /// Connections that the server closed between two requests; nothing is lost by that.
    pub reopened: usize,
    /// The longest that an answer took.
    pub slowest: Duration,
    /// The first failures: when, since the start, and what.
    pub failures: Vec<(Duration, String)>,
}

/// The clients at work.
pub struct Asking {
    load: Mutex<Load>,
    more: Condvar,
    over: Mutex<bool>,
    ended: Condvar,
    started: Instant,
}

impl Host {
    /// Does `work` while so many connections from this host ask for these URLs, each for one of them. One with `POST `
    /// before it is posted to, which is never repeated.
    pub fn while_asking<T>(
        &self,
        connections: usize,
        urls: &[String],
        work: impl FnOnce(&Asking) -> T,
    ) -> (T, Load) {
        let asking = Asking {
            load: Mutex::default(),
            more: Condvar::new(),
            over: Mutex::new(false),
            ended: Condvar::new(),
            started: Instant::now(),
        };
        let target = |url: &String| {
            let (method, url) = url.split_once(' ').unwrap_or(("GET", url));
            let (address, path) = parts(url);
            (method.to_owned(), address, path)
        };
        let targets: Vec<_> = urls.iter().map(target).collect();
        let done = std::thread::scope(|scope| {
            for (method, address, path) in targets.iter().cycle().take(connections) {
                scope.spawn(|| self.space().inside(|| asking.client(*address, method, path)));
            }
            // Caught, or the clients would go on for ever.
            let done = std::panic::catch_unwind(AssertUnwindSafe(|| work(&asking)));
            *asking.over.lock().unwrap() = true;
            asking.ended.notify_all();
            done
        });
        let done = done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (done, asking.load.into_inner().unwrap())
    }
}

impl Asking {
    /// Waits until so many requests more have ended, well or not.
    #[track_caller]
    pub fn answers(&self, count: usize) {
        let load = self.load.lock().unwrap();
        let until = load.asked() + count;
        let (load, late) = self.more.wait_timeout_while(load, PATIENCE, |load| load.asked() < until).unwrap();
        assert!(!late.timed_out(), "{load:?}");
    }

    fn client(&self, address: SocketAddr, method: &str, path: &str) {
        let mut connection = None;
        while self.pause() {
            let asked = Instant::now();
            let answer = ask(&mut connection, address, method, path);
            let mut load = self.load.lock().unwrap();
            load.reopened += usize::from(answer.as_ref().is_ok_and(|reopened| *reopened));
            load.slowest = load.slowest.max(asked.elapsed());
            match answer {
                Ok(_) => load.good += 1,
                Err(what) => {
                    load.failed += 1;
                    if load.failures.len() < TOLD {
                        load.failures
                            .push((self.started.elapsed(), format!("{method} {address}{path}: {what}")));
                    }
                }
            }
            self.more.notify_all();
        }
    }

    /// Waits for the next request's time; false when there is to be none.
    fn pause(&self) -> bool {
        let over = self.over.lock().unwrap();
        !*self.ended.wait_timeout_while(over, PACE, |over| !*over).unwrap().0
    }
}

impl Load {
    fn asked(&self) -> usize {
        self.good + self.failed
    }

    /// Itself, having had answers and no failure.
    #[track_caller]
    pub fn flawless(self) -> Self {
        assert!(self.good > 0 && self.failed == 0, "{self:?}");
        self
    }
}

/// One request, repeated once on a new connection when the server had closed the old one before it saw it, as
/// every client does (RFC 9110, 9.2.2); whether that was so.
fn ask(
    connection: &mut Option<Connection>,
    address: SocketAddr,
    method: &str,
    path: &str,
) -> Result<bool, String> {
    let mut kept = connection.take();
    let mut reopened = false;
    loop {
        let old = kept.is_some();
        let mut now = match kept.take() {
            Some(open) => open,
            None => Connection::open(address).map_err(|e| format!("no connection: {e}"))?,
        };
        match now.ask(method, path) {
            Err(error) if old && method == "GET" && error.kind() == ErrorKind::ConnectionReset => {
                reopened = true
            }
            Err(error) => return Err(error.to_string()),
            Ok(answer) if answer.status != 200 => {
                return Err(format!("{} {}", answer.status, answer.body.trim()));
            }
            Ok(_) => {
                *connection = Some(now).filter(|now| !now.over);
                return Ok(reopened);
            }
        }
    }
}
