//! Workers: the few threads on which slow answers are made.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::event::{EventfdFlags, eventfd};

use crate::Response;

/// So many slow answers are made at once; the others wait their turn.
const THREADS: usize = 16;
/// They parse a response and format a line.
const STACK: usize = 128 * 1024;

type Job = Box<dyn FnOnce() -> Response + Send>;

/// Threads that take jobs and wake the event loop with their results.
pub(crate) struct Workers {
    jobs: Option<Sender<(u64, Job)>>,
    results: Receiver<(u64, Response)>,
    report: Sender<(u64, Response)>,
    bell: Arc<OwnedFd>,
}

impl Workers {
    /// No thread is started before the first job.
    pub(crate) fn new() -> io::Result<Self> {
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (report, results) = channel();
        Ok(Self { jobs: None, results, report, bell })
    }

    /// Readable when there are results.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Runs `job` for the connection called `token`.
    pub(crate) fn run(&mut self, token: u64, job: Job) -> io::Result<()> {
        if self.jobs.is_none() {
            self.jobs = Some(self.start()?);
        }
        let jobs = self.jobs.as_ref().expect("just started");
        jobs.send((token, job)).map_err(|_| io::Error::other("every worker thread has ended"))
    }

    /// The results so far.
    pub(crate) fn results(&self) -> Vec<(u64, Response)> {
        // the bell is silenced first: a result that comes after it rings it again
        let _ = rustix::io::read(&*self.bell, &mut [0; 8]);
        self.results.try_iter().collect()
    }

    fn start(&self) -> io::Result<Sender<(u64, Job)>> {
        let (sender, receiver) = channel::<(u64, Job)>();
        let queue = Arc::new(Mutex::new(receiver));
        for _ in 0..THREADS {
            let (queue, report, bell) = (Arc::clone(&queue), self.report.clone(), Arc::clone(&self.bell));
            thread::Builder::new().stack_size(STACK).spawn(move || work(&queue, &report, &bell))?;
        }
        Ok(sender)
    }
}

fn work(queue: &Mutex<Receiver<(u64, Job)>>, report: &Sender<(u64, Response)>, bell: &OwnedFd) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((token, job)) = next else { return };
        if report.send((token, job())).is_err() {
            return;
        }
        let _ = rustix::io::write(bell, &1u64.to_ne_bytes());
    }
}
