//! Ctrl-C and its kin: the first asks for an end, the second hurries it.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::failure::Failure;

/// How often this process was asked to end. Cheap to clone; asking never loses a signal.
#[derive(Clone)]
pub struct Asked(watch::Receiver<u32>);

/// Counts SIGINT and SIGTERM from now on; SIGHUP as well, when a terminal may go away under us.
pub fn listen(with_terminal: bool) -> Result<Asked, Failure> {
    let on = |kind| signal(kind).map_err(|e| Failure::new(format_args!("failed to listen for signals: {e}")));
    let (count, asked) = watch::channel(0);
    let (mut int, mut term) = (on(SignalKind::interrupt())?, on(SignalKind::terminate())?);
    let mut hup = on(SignalKind::hangup())?;
    // Ends with the last `Asked`.
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = received(&mut int) => {}
                () = received(&mut term) => {}
                () = received(&mut hup) => if !with_terminal { continue },
                () = count.closed() => return,
            }
            count.send_modify(|n| *n += 1);
        }
    });
    Ok(Asked(asked))
}

impl Asked {
    /// As somebody who will not wait.
    #[must_use]
    pub fn now() -> Self {
        Self(watch::channel(u32::MAX).1)
    }

    /// Resolves once this process was asked `times` to end.
    pub async fn times(mut self, times: u32) {
        if *self.0.borrow() < times && self.0.wait_for(|count| *count >= times).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// How often it was asked so far.
    pub fn count(&self) -> u32 {
        *self.0.borrow()
    }
}

async fn received(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}
