//! The calls about a mesh of many machines.

use std::time::Duration;

use fabric::{Kind, RecordName};
use http::Method;
use types::{NodeName, PublicKey};

use super::{Client, ClientError, empty, encode, full};
use crate::api;

impl Client {
    /// Every node.
    pub async fn nodes(&self) -> Result<Vec<api::MemberStatus>, ClientError> {
        self.get("/v1/nodes").await
    }

    /// Secrets and configs, without what they hold.
    pub async fn settings(&self) -> Result<api::SettingsAt, ClientError> {
        self.get("/v1/settings").await
    }

    /// The node's links to others.
    pub async fn network(&self) -> Result<api::NetworkStatus, ClientError> {
        self.get("/v1/network").await
    }

    /// How long a node takes to answer.
    pub async fn ping(&self, node: &NodeName) -> Result<api::Pong, ClientError> {
        self.call(Method::POST, &format!("/v1/network/ping/{node}"), empty()).await
    }

    /// A ticket for one node.
    pub async fn new_ticket(&self, life: Duration) -> Result<api::TicketMade, ClientError> {
        let wish = api::TicketWish { ttl_ms: u64::try_from(life.as_millis()).unwrap_or(u64::MAX) };
        self.call(Method::POST, "/v1/tickets", full(encode(&wish))).await
    }

    /// The tickets that the node gave out.
    pub async fn tickets(&self) -> Result<Vec<api::TicketStatus>, ClientError> {
        self.get("/v1/tickets").await
    }

    /// Makes a ticket void; whether it was there.
    pub async fn remove_ticket(&self, id: &PublicKey) -> Result<bool, ClientError> {
        self.call(Method::POST, "/v1/tickets/remove", full(encode(id))).await
    }

    /// Whose plans are obeyed.
    pub async fn operators(&self) -> Result<Vec<api::OperatorStatus>, ClientError> {
        self.get("/v1/operators").await
    }

    /// Who may vouch for publishers.
    pub async fn identities(&self) -> Result<Vec<api::IdentityStatus>, ClientError> {
        self.get("/v1/identities").await
    }

    /// The rules over what may run.
    pub async fn policies(&self) -> Result<Vec<api::PolicyStatus>, ClientError> {
        self.get("/v1/policies").await
    }

    /// What an operator, or the root, said under a name.
    pub async fn record(&self, kind: &Kind, name: &RecordName) -> Result<api::RecordAt, ClientError> {
        self.get(&format!("/v1/records/{kind}/{}", name.as_str())).await
    }

    /// On whose word the mesh rests.
    pub async fn roots(&self) -> Result<api::RootsAt, ClientError> {
        self.get("/v1/roots").await
    }

    /// What was written on two sides of a cut.
    pub async fn conflicts(&self) -> Result<Vec<api::Conflict>, ClientError> {
        self.get("/v1/conflicts").await
    }

    /// Which records a key wrote.
    pub async fn written_by(&self, key: &PublicKey) -> Result<api::Written, ClientError> {
        self.get(&format!("/v1/written-by/{}", RecordName::of_key(key).as_str())).await
    }
}
