//! An agent that fails: its node would be looked after by nobody, so the whole mesh ends, and says so.
//!
//! The mesh runs in the test itself, so that an agent can be made to panic: by whoever listens to its log.

use std::fmt::Debug;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mycelium::{App, Config, Paths, RunError, Tls};
use rustix::process::Signal;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use crate::support::Place;

/// Panics at the first that is logged of node-2 once it is armed.
#[derive(Clone, Default)]
struct Listener(Arc<AtomicBool>);

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut of_node = OfNode(false);
        event.record(&mut of_node);
        assert!(!of_node.0 || !self.0.swap(false, Ordering::SeqCst), "on purpose");
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct OfNode(bool);

impl Visit for OfNode {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 |= field.name() == "node" && format!("{value:?}") == "node-2";
    }
}

fn config(place: &Place) -> Config {
    Config {
        paths: Paths::under(&place.state()).unwrap(),
        member: None,
        keep_workloads: false,
        labels: std::collections::BTreeMap::new(),
        nodes: 2,
        edge: vec!["127.0.0.1:0".parse().unwrap()],
        admin: None,
        tls: Tls::Off,
        repo: None,
        program: env!("CARGO_BIN_EXE_mesh").into(),
        warmup: Duration::from_millis(100),
        version: "v0".to_owned(),
        takeover: false,
        environment: Vec::new(),
        edge_workers: Some(1),
        otlp: None,
        patience: Duration::from_secs(10),
        learning: Duration::from_secs(1800),
    }
}

#[test]
fn when_an_agent_fails_the_mesh_ends_with_an_error_and_leaves_nothing() {
    let place = Place::new();
    // What runs is taken over from a mesh that was killed.
    let mut before = place.start("-nodes 2");
    place.mesh(&format!("deploy {} -instances 2", place.billing("v0.1.0"))).good();
    before.signal(Signal::KILL);
    before.ended();

    let listener = Listener::default();
    let _heard = tracing::subscriber::set_default(listener.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(async {
        let app = App::start(config(&place)).await.unwrap();
        listener.0.store(true, Ordering::SeqCst);
        let mut restart = tokio::process::Command::from({
            let mut command = place.command();
            command.args(["restart", "billing", "-no-wait"]);
            command
        });
        let restarted = async { assert!(restart.status().await.unwrap().success()) };
        let ran = app.run(pending(), pending());
        let (ended, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(60), ran), restarted);
        ended.expect("it ends")
    });
    let Err(error) = ended else { panic!("it ended well") };
    assert!(matches!(&error, RunError::AgentEnded(node) if node.as_str() == "node-2"), "{error}");
    drop(runtime);
    place.nothing_runs();
    assert!(!place.state().join("mesh.sock").exists());
    // The next one has all of it again.
    let after = place.start("-nodes 2");
    place.mesh("status").good();
    drop(after);
}
