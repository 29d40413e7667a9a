//! Holding: a request for an app that sleeps waits until a replica is ready.
//!
//! It costs what has arrived of it, no more: of its body nothing is read meanwhile. How many wait, and for how long,
//! is bounded; when it is known that there will be no replica soon, none waits.

use std::rc::Rc;

use tokio::time::{Instant, timeout_at};

use crate::http1::answer::Answer;
use crate::mux;
use crate::worker::Worker;
use crate::worker::view::{Open, Service};

/// An endpoint for a request for which there is none now, as soon as there is one; the answer if that doesn't come.
pub(crate) async fn pick(worker: &Rc<Worker>, service: &mut Rc<Service>) -> Result<Open, Answer> {
    let limits = &worker.config.limits;
    let end = Instant::now() + limits.hold;
    let mut place = None;
    loop {
        let rerouted = worker.rerouted.notified();
        tokio::pin!(rerouted);
        rerouted.as_mut().enable();
        if let Some(open) = mux::pick(worker, service, &[]) {
            return Ok(open);
        }
        let app = service.app.name.as_str();
        match service.scaling.as_deref() {
            Some(scaling) if scaling.sleeps => {
                if let Some(trouble) = &scaling.trouble {
                    return Err(unavailable(format!("{app} can't be woken: {trouble}")));
                }
            }
            _ => return Err(Answer::no_endpoint(app)),
        }
        if place.is_none() {
            let Some(taken) = Place::take(worker, service) else {
                return Err(unavailable(format!("{app} sleeps, and too many requests wait for it to wake")));
            };
            place = Some(taken);
            worker.routes.wake();
        }
        if timeout_at(end, rerouted).await.is_err() {
            let seconds = limits.hold.as_secs_f64();
            let text = format!("{app} sleeps and did not wake within {seconds} s; `mesh why {app}` says why");
            return Err(unavailable(text));
        }
    }
}

fn unavailable(text: String) -> Answer {
    Answer { retry_after: Some(1), ..Answer::new(503, text) }
}

/// A request that is counted as held, until this is dropped.
struct Place {
    worker: Rc<Worker>,
    service: Rc<Service>,
}

impl Place {
    fn take(worker: &Rc<Worker>, service: &Rc<Service>) -> Option<Self> {
        let held = worker.held.get();
        if held >= worker.config.limits.held {
            return None;
        }
        worker.held.set(held + 1);
        service.app.shard(worker.index).hold();
        Some(Self { worker: worker.clone(), service: service.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.worker.held.set(self.worker.held.get() - 1);
        self.service.app.shard(self.worker.index).unhold();
    }
}
