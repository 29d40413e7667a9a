//! Records and events: what this node says, in the fabric and to people.

use genome::{Credit, Endpoint, Observed, ReplicaState};
use telemetry::{Event, EventKind};
use tokio::time::Instant;
use types::{AppName, ReplicaName};

use super::{Grounds, Report, Shell, TRUST_EVERY};
use crate::core::{Draft, Input, Now, Observing};

impl Shell {
    pub(super) fn publish_node(&self) -> Result<(), fabric::Refused> {
        let (node, now) = (&self.config.node, (self.deps.clock)());
        self.deps.fabric.publish_node(node, &*self.deps.signer, now).map(drop)
    }

    pub(super) fn remove_node(&self) {
        let now = (self.deps.clock)();
        said(
            self.deps.fabric.remove_node(&self.config.node.node_id, &*self.deps.signer, now),
            "remove the node's record",
        );
    }

    /// Brings this node's own records in line with what it has said, as far as they aren't.
    pub(super) async fn correct_records(&mut self) {
        let now = self.now();
        let (view, node) = (self.deps.fabric.view(), &self.config.node.node_id);
        let endpoints = view.endpoints().map(|record| &**record).filter(|record| record.node_id == *node);
        let observed = view.observed.values().map(|seen| &**seen).filter(|seen| seen.node_id == *node);
        for action in self.core.corrections(endpoints, observed) {
            self.act(action, now).await;
        }
    }

    pub(super) async fn register(&mut self, record: Endpoint, now: Now) {
        let resumed = record.is_ready().then(|| self.drains.remove(&record.replica)).flatten();
        let registered = self.deps.fabric.register_endpoint(&record, &*self.deps.signer, now.wall);
        said(registered, "register an endpoint");
        if let Some(drain) = resumed {
            drain.abort();
            self.deps.traffic.resumed(&record.app_name, &record.node_id, &record.replica);
        }
        if record.state == ReplicaState::Completed {
            // Once the keeper has forgotten the process, this record alone says that the job is done.
            let fabric = self.deps.fabric.clone();
            let flushed = tokio::task::spawn_blocking(move || fabric.flush()).await;
            if let Ok(flushed) = flushed {
                said(flushed, "write down that a job is done");
            }
        }
    }

    pub(super) fn unregister(&mut self, app: &AppName, replica: &ReplicaName, now: Now) {
        if let Some(drain) = self.drains.remove(replica) {
            drain.abort();
        }
        let (node, key) = (&self.config.node.node_id, &*self.deps.signer);
        said(self.deps.fabric.remove_endpoint(app, node, replica, key, now.wall), "remove an endpoint");
    }

    pub(super) fn observe(&self, app: AppName, observing: Observing, now: Now) {
        let (node, key) = (self.config.node.node_id.clone(), &*self.deps.signer);
        match observing {
            Observing::Failed(failure) => {
                let observed = Observed { node_id: node, app_name: app, failed: Some(failure) };
                said(self.deps.fabric.say_of(&observed, key, now.wall), "publish an observation");
            }
            Observing::Withdrawn => {
                said(
                    self.deps.fabric.unsay_of::<Observed>(&app, &node, key, now.wall),
                    "withdraw an observation",
                );
            }
        }
    }

    /// Publishes a row of credits, and counts it as written once it is on disk.
    pub(super) fn write_credit(&mut self, row: Credit) {
        let (fabric, now) = (self.deps.fabric.clone(), (self.deps.clock)());
        if let Err(error) = fabric.say_of(&row, &*self.deps.signer, now) {
            tracing::error!(%error, "failed to publish credits");
            return self.books.settle(&row.app_name, false);
        }
        let reporter = self.reporter.clone();
        self.tasks.spawn(async move {
            let flushed = tokio::task::spawn_blocking(move || fabric.flush()).await;
            let safe = matches!(flushed, Ok(Ok(_)));
            // Nobody listens any more once the agent has ended.
            let _ = reporter.send(Report::Written(row.app_name, safe));
        });
    }

    pub(super) fn remove_credit(&self, app: &AppName) {
        let (node, now) = (&self.config.node.node_id, (self.deps.clock)());
        said(self.deps.fabric.unsay_of::<Credit>(app, node, &*self.deps.signer, now), "remove credits");
    }

    /// Leaves what is left of all credits to the next agent of this node.
    pub(super) fn close_books(&mut self) {
        let now = (self.deps.clock)();
        for row in self.books.close(&self.config.node.node_id) {
            said(self.deps.fabric.say_of(&row, &*self.deps.signer, now), "publish credits");
        }
    }

    pub(super) fn emit(&self, draft: Draft, now: Now) {
        let Draft { kind, app, replica, message } = draft;
        let node = &self.config.node.node_id;
        let name = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let (of, who) =
            (name(app.as_ref().map(AppName::as_str)), name(replica.as_ref().map(ReplicaName::as_str)));
        match kind {
            EventKind::HealthFail | EventKind::SporeRefused | EventKind::RolledBack => {
                tracing::warn!(%node, app = of, replica = who, event = kind.as_str(), "{message}");
            }
            _ => tracing::info!(%node, app = of, replica = who, event = kind.as_str(), "{message}"),
        }
        let event = Event { seq: 0, at: now.wall, kind, node: Some(node.clone()), app, replica, message };
        (self.deps.events)(event);
    }

    /// Tells the core when somebody else is trusted than before, other rules hold, or a secret or config is another.
    pub(super) async fn look_at_trust(&mut self) {
        self.trust_at = Instant::now() + TRUST_EVERY;
        let grounds = self.grounds_now();
        if grounds != self.grounds {
            self.grounds = grounds;
            self.tell(Input::TrustChanged).await;
        }
    }

    /// Whom this machine and the mesh trust, which rules hold, what they are asked about of plans, and what there is
    /// to give to replicas.
    pub(super) fn grounds_now(&self) -> Grounds {
        let own = self.deps.trust.list().unwrap_or_default().into_iter().map(|trusted| trusted.public_key);
        let view = self.deps.fabric.view();
        let labelled = view.plans.values().filter(|entry| !entry.value.labels.is_empty());
        let secrets = view.secrets.values().map(|entry| entry.id);
        Grounds {
            trusted: own.chain(view.trust.values().map(|entry| entry.value.public_key)).collect(),
            policies: view.policies.values().map(|entry| entry.id).collect(),
            identities: view.identities.values().map(|entry| entry.id).collect(),
            labelled: labelled.map(|entry| entry.id).collect(),
            settings: secrets.chain(view.configs.values().map(|entry| entry.id)).collect(),
        }
    }
}

/// A record that could not be written is a fault of the machine or of the mesh's set-up; what runs goes on.
pub(super) fn said<T>(result: Result<T, fabric::Refused>, what: &str) {
    if let Err(error) = result {
        tracing::error!(%error, "failed to {what}");
    }
}
