//! The network of one node: the overlay, who is there, records to and from peers, admission.
//!
//! The decisions are `fabric::net`'s and `soul`'s; here bytes move, time passes, and files are kept.

mod absence;
mod admission;
mod door;
mod driver;
mod listen;
mod moving;
mod records;
mod remote;
mod renewal;
mod safe;
mod waiting;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fabric::Fabric;
use fabric::net::{Input, Net, PeerId};
use hyphae::{DATAGRAM, Limits, Overlay, Protocol};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use types::{PublicKey, Signer as _};

pub(crate) use admission::{Desk, ask};
pub(crate) use door::Door;
pub(crate) use listen::{reachable_at, sockets};
pub(crate) use remote::RemoteApi;
pub(crate) use safe::replicate;

use crate::clock::SystemClock;
use crate::config::StartError;
use crate::events::EventLog;
use crate::presence::Presence;
use crate::quarantine::Quarantine;
use crate::tunnel::Tunnels;
use door::Doorkeeper;
use driver::Driver;
pub(crate) use waiting::Waiting;

/// Messages of the fabric, in order.
pub(crate) const GOSSIP: &str = "gossip/1";
/// Strangers ask an issuer to be let in; members ask for their next certificate.
pub(crate) const JOIN: &str = "join/1";
/// A node shows its membership to one that doesn't know it yet.
pub(crate) const ADMIT: &str = "admit/1";
/// A record to be synced to disk, and the answer that it is.
pub(crate) const STORE: &str = "store/1";
/// What nodes tell each other by HTTP: the logs they have.
pub(crate) const PEER: &str = "peer/1";
/// The HTTP API, for operators.
pub(crate) const API: &str = "api/1";

/// How long the first of the nodes that were here before may take to be heard of.
const FIRST_HEARD: Duration = Duration::from_millis(600);
/// How long after it the others may.
const REST_HEARD: Duration = Duration::from_millis(200);
/// And how long until we hold what they hold.
const MET: Duration = Duration::from_millis(1_500);
/// How many inputs may wait for the core. Messages wait with their sender, datagrams are dropped.
const WAITING: usize = 4_096;
/// How long what is open may go on when the node ends.
const GRACE: Duration = Duration::from_millis(500);

/// A running network. Its tasks end with the set they were spawned into.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) overlay: Overlay,
    pub(crate) presence: Presence,
    pub(crate) quarantine: Quarantine,
    pub(crate) desk: Arc<Desk>,
    /// Where others are told that we are.
    pub(crate) addresses: Arc<watch::Sender<Vec<SocketAddr>>>,
    advertise: Vec<SocketAddr>,
    inputs: mpsc::Sender<Input>,
    pub(crate) tunnels: Tunnels,
    silent: Arc<watch::Sender<bool>>,
    met: watch::Receiver<bool>,
    /// Whether nobody is known to call on.
    alone: bool,
}

/// What a network is made of.
pub(crate) struct SetUp<'a> {
    pub(crate) desk: Arc<Desk>,
    pub(crate) fabric: Fabric,
    pub(crate) presence: Presence,
    pub(crate) quarantine: Quarantine,
    pub(crate) events: EventLog,
    pub(crate) listen: &'a [SocketAddr],
    pub(crate) advertise: &'a [SocketAddr],
    /// Peers that are known from before, and where they were.
    pub(crate) seeds: BTreeMap<PublicKey, Vec<SocketAddr>>,
    /// What else is served on the overlay.
    pub(crate) protocols: Vec<(String, Protocol)>,
    /// What has to know when peers go and come.
    pub(crate) tunnels: Tunnels,
    /// What the run before left (see [`Network::bequeath`]).
    pub(crate) left: Vec<OwnedFd>,
}

impl Network {
    /// Opens the overlay and calls on the peers that are known.
    pub(crate) async fn start(
        set_up: SetUp<'_>,
        tasks: &mut JoinSet<&'static str>,
    ) -> Result<Self, StartError> {
        let SetUp {
            desk,
            fabric,
            presence,
            quarantine,
            events,
            listen,
            advertise,
            seeds,
            protocols,
            tunnels,
            left,
        } = set_up;
        let (inputs, waiting) = mpsc::channel(WAITING);
        let door = desk.door.clone();
        door.refresh(&fabric);
        let gate = Doorkeeper { door: door.clone(), inputs: inputs.clone(), tunnels: tunnels.clone() };
        let config = config(&desk, listen, gate, served(protocols, &desk, &inputs));
        let overlay = Overlay::succeed(config, left).await?;
        tunnels.attach(overlay.clone());
        let addresses = reachable_at(overlay.addresses(), advertise);
        let began = Instant::now();
        let me = who_we_are(&desk, addresses.clone())?;
        let silent = Arc::new(watch::Sender::new(false));
        let (has_met, met) = watch::channel(false);
        let driver = Driver {
            net: Net::new(me, began.elapsed()),
            fabric: fabric.clone(),
            overlay: overlay.clone(),
            presence: presence.clone(),
            door,
            events,
            inputs: waiting,
            handler: quarantine.handler("the network"),
            settled: quarantine.changes(),
            waiting: Waiting::new(quarantine.clone()),
            began,
            met: has_met,
            tunnels: tunnels.clone(),
            silent: silent.subscribe(),
        };
        tasks.spawn(async move {
            driver.run().await;
            "network"
        });
        announce(&fabric, &inputs);
        let addresses = Arc::new(watch::Sender::new(addresses));
        presence.expect(fabric.members());
        let alone = seeds.is_empty();
        let network = Self {
            overlay,
            presence,
            quarantine,
            desk,
            addresses,
            advertise: advertise.to_vec(),
            inputs,
            tunnels,
            silent,
            met,
            alone,
        };
        network.meet(seeds, tasks);
        network.look_after(tasks);
        Ok(network)
    }

    /// The nodes that were here before are heard of within some ten milliseconds, if they still are, and so is the issuer
    /// by a node that has just joined; whether any was.
    pub(crate) async fn heard_again(&self) -> bool {
        let mut changes = self.desk.fabric.subscribe();
        let first = async {
            while !self.alone && self.presence.here().is_empty() {
                changes.changed().await;
            }
        };
        if timeout(FIRST_HEARD, first).await.is_err() {
            return false;
        }
        let rest = async {
            while self.presence.expected() > 0 {
                changes.changed().await;
            }
        };
        // The first one knows the others.
        let _ = timeout(REST_HEARD, rest).await;
        !self.presence.here().is_empty()
    }

    /// [`Network::heard_again`], and until this node knows what those know.
    pub(crate) async fn know(&self) {
        if self.heard_again().await {
            let mut met = self.met.clone();
            // What it doesn't know by then it learns later.
            let _ = timeout(MET, met.wait_for(|met| *met)).await;
        }
    }

    /// The tasks that keep us in the mesh.
    fn look_after(&self, tasks: &mut JoinSet<&'static str>) {
        let (following, moving, renewing) = (self.clone(), self.clone(), self.clone());
        tasks.spawn(async move {
            records::follow(&following).await;
            "records of members"
        });
        tasks.spawn(async move {
            moving::follow(&moving).await;
            "addresses of this machine"
        });
        tasks.spawn(async move {
            renewal::follow(&renewing).await;
            "renewal of the membership"
        });
    }

    /// Shows our membership to those we know, and has the core meet them.
    fn meet(&self, seeds: BTreeMap<PublicKey, Vec<SocketAddr>>, tasks: &mut JoinSet<&'static str>) {
        for (key, addresses) in &seeds {
            if let Err(error) = self.overlay.learn(*key, addresses) {
                tracing::debug!(%error, "can't use the addresses that a node had");
            }
        }
        let network = self.clone();
        tasks.spawn(async move {
            admission::introduce(&network, seeds.into_keys().collect()).await;
            std::future::pending().await
        });
    }

    /// Where others are told that we are, as the node says of itself.
    pub(crate) fn announced(&self) -> Vec<String> {
        self.addresses.borrow().iter().map(ToString::to_string).collect()
    }

    async fn tell(&self, input: Input) {
        // It fails only when everything ends.
        let _ = self.inputs.send(input).await;
    }

    /// Says goodbye: the others send nothing here any more, and place anew what ran here.
    pub(crate) async fn say_goodbye(&self) {
        self.tell(Input::Leave).await;
    }

    /// Ceases to speak for this node, and prepares its sockets for a successor: until that comes, and for what is open
    /// after it, streams are served as before.
    pub(crate) fn bequeath(&self) -> io::Result<Vec<OwnedFd>> {
        self.silent.send_replace(true);
        self.overlay.bequeath()
    }

    /// Closes at once.
    pub(crate) async fn cut(&self) {
        self.overlay.close(Duration::ZERO).await;
    }

    /// Closes. Without a goodbye before it the others wait for us to come back.
    pub(crate) async fn close(&self) {
        self.overlay.close(GRACE).await;
    }

    /// Has these met: they are said to be in the mesh.
    pub(super) async fn join(&self, peers: Vec<PeerId>) {
        self.tell(Input::Join(peers)).await;
    }
}

/// An overlay that asks and serves nothing; whoever dials it is told why.
pub(crate) async fn errand(
    key: zeroize::Zeroizing<[u8; 32]>,
    why: &'static str,
) -> Result<Overlay, hyphae::StartError> {
    Overlay::start(hyphae::Config {
        key,
        listen: sockets(&[(Ipv6Addr::UNSPECIFIED, 0).into()]),
        gate: Arc::new(move |_: &PublicKey, _: &str| Err(why.to_owned())),
        protocols: BTreeMap::new(),
        limits: Limits::default(),
    })
    .await
}

/// The overlay of this node.
fn config(
    desk: &Desk,
    listen: &[SocketAddr],
    gate: Doorkeeper,
    protocols: BTreeMap<String, Protocol>,
) -> hyphae::Config {
    let (key, listen, limits) = (desk.key.seed(), sockets(listen), Limits::default());
    hyphae::Config { key, listen, gate: Arc::new(gate), protocols, limits }
}

/// Has the core broadcast what is written here.
fn announce(fabric: &Fabric, inputs: &mpsc::Sender<Input>) {
    let herald = inputs.clone();
    fabric.announce_to(Box::new(move |record| {
        // A full queue means that we are late; then reconciliation brings it to the others.
        let _ = herald.try_send(Input::Publish(Box::new(record)));
    }));
}

/// As the core tells others of us.
fn who_we_are(desk: &Desk, addresses: Vec<SocketAddr>) -> Result<fabric::net::Config, StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|e| StartError::Network(hyphae::StartError::Random(e)))?;
    Ok(fabric::net::Config {
        id: desk.key.public_key().into(),
        name: desk.name.clone(),
        addresses,
        generation: SystemClock.now().as_millis(),
        seed,
    })
}

/// All that peers may speak, `more` included.
fn served(
    more: Vec<(String, Protocol)>,
    desk: &Arc<Desk>,
    inputs: &mpsc::Sender<Input>,
) -> BTreeMap<String, Protocol> {
    let mut served: BTreeMap<String, Protocol> = more.into_iter().collect();
    served.extend(gossip(inputs));
    served.insert(JOIN.to_owned(), admission::join_protocol(desk));
    served.insert(ADMIT.to_owned(), admission::admit_protocol(desk, inputs));
    served.insert(STORE.to_owned(), safe::protocol(&desk.fabric));
    served
}

/// The core's own protocols.
fn gossip(inputs: &mpsc::Sender<Input>) -> [(String, Protocol); 2] {
    use fabric::net::Class;
    let (reliable, unreliable) = (inputs.clone(), inputs.clone());
    let messages = Protocol::messages(move |peer: PublicKey, message| {
        let inputs = reliable.clone();
        async move {
            let from = peer.into();
            let _ =
                inputs.send(Input::Received { from, class: Class::Reliable, bytes: message.into() }).await;
        }
    });
    let datagrams = Protocol::datagrams(move |peer, datagram| {
        let from = peer.into();
        let _ = unreliable.try_send(Input::Received { from, class: Class::Datagram, bytes: datagram.into() });
    });
    [(GOSSIP.to_owned(), messages), (DATAGRAM.to_owned(), datagrams)]
}
