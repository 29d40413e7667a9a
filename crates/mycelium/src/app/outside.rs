//! What this process shares with the other nodes of a mesh of many: links, tunnels, spores, the API.

use std::sync::Arc;

use membrane::Keeper;
use repo::exchange::{self, Exchange};
use tokio::task::JoinSet;

use super::papers;
use super::start::State;
use crate::config::{Config, StartError};
use crate::member::NodeFile;
use crate::network::{self, Network, RemoteApi};
use crate::presence::Presence;
use crate::quarantine::Handler;
use crate::server::{self, ApiState, Shared};
use crate::sockets;
use crate::spores::{self, Fetcher};
use crate::tunnel::{self, Site, Tunnels, Ways};

/// The parts that others reach, before and after the overlay runs.
pub(super) struct Outside {
    member: NodeFile,
    tunnels: Tunnels,
    remote: RemoteApi,
    peers: RemoteApi,
    exchange: Exchange,
    fetching: Handler,
}

impl Outside {
    /// Nothing is reachable yet.
    pub(super) fn new(member: NodeFile, state: &State) -> Self {
        let presence = state.presence.clone();
        let is_own = move |node: &types::NodeName| presence.is_own(node);
        Self {
            member,
            tunnels: Tunnels::of_nodes(state.fabric.clone(), is_own, tunnel::Limits::default()),
            remote: RemoteApi::default(),
            peers: RemoteApi::default(),
            exchange: Exchange::new(state.repo.clone(), exchange::Limits::default()),
            fetching: state.quarantine.handler("fetching of spores"),
        }
    }

    /// How the edge gets to replicas elsewhere.
    pub(super) fn ways(&self, presence: &Presence) -> Ways {
        let (presence, tunnels) = (presence.clone(), self.tunnels.clone());
        Ways::over(self.tunnels.clone(), move |node| match presence.site(node) {
            Site::Nowhere => {
                let away = presence.away(node).filter(|key| tunnels.expects(key));
                away.map_or(Site::Nowhere, Site::There)
            }
            site => site,
        })
    }

    pub(super) fn tunnels(&self) -> Tunnels {
        self.tunnels.clone()
    }

    /// Opens the overlay, where there is to be one: links, records and traffic from now on.
    pub(super) async fn start(
        outside: Option<&Self>,
        config: &Config,
        state: &State,
        keeper: &Keeper,
        tasks: &mut JoinSet<&'static str>,
    ) -> Result<Option<Network>, StartError> {
        let Some(this) = outside else { return Ok(None) };
        let member = &this.member;
        let key = state.nodes.present.get(&member.name).expect("it was loaded under that name").clone();
        let mut protocols = vec![
            (network::API.to_owned(), this.remote.protocol()),
            (network::PEER.to_owned(), this.peers.protocol()),
            (exchange::PROTOCOL.to_owned(), spores::protocol(this.exchange.clone())),
        ];
        protocols.extend(this.tunnels.protocols());
        let set_up = network::SetUp {
            desk: Arc::new(papers::desk(config, member, key, &state.fabric)?),
            fabric: state.fabric.clone(),
            presence: state.presence.clone(),
            quarantine: state.quarantine.clone(),
            events: state.events.clone(),
            listen: &member.listen,
            advertise: &member.advertise,
            seeds: papers::seeds(member, &state.fabric),
            protocols,
            tunnels: this.tunnels.clone(),
            left: sockets::take_overlay(keeper).await?,
        };
        let network = Network::start(set_up, tasks).await?;
        if state.fresh {
            network.know().await;
        }
        Ok(Some(network))
    }

    /// Answers operators elsewhere, and fetches what is to run here.
    pub(super) fn serve(self, shared: &Arc<Shared>, tasks: &mut JoinSet<&'static str>) {
        self.remote.serve(server::remote_router(ApiState { shared: Arc::clone(shared) }));
        self.peers.serve(server::peer_router(ApiState { shared: Arc::clone(shared) }));
        let Some(network) = &shared.network else { return };
        let fetcher = Fetcher {
            node: self.member.name,
            fabric: shared.fabric.clone(),
            planner: Arc::clone(&shared.planner),
            presence: shared.presence.clone(),
            exchange: self.exchange,
            overlay: network.overlay.clone(),
            arrivals: shared.arrivals.clone(),
            handler: self.fetching,
        };
        tasks.spawn(async move {
            fetcher.follow().await;
            "spores from other nodes"
        });
    }
}
