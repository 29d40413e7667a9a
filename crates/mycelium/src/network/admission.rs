//! Admission: letting nodes in where this one is an issuer, and being let in elsewhere.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fabric::net::Input;
use fabric::{Fabric, Key, Kind, MAX_RECORD, Owner, Record, RecordName};
use futures_util::StreamExt as _;
use hyphae::{Overlay, Protocol, Stream};
use soul::{
    Answer, Certificate, Chain, Issuer, MAX_ANSWER, MAX_REQUEST, Papers, Reason, Refusal, Request, Roots,
    SecretKey, TicketBook,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use types::{Namespace, NodeName, PublicKey, Signer as _};

use super::{ADMIT, Door, JOIN, Network};
use crate::clock::SystemClock;

/// How long an exchange may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many strangers are answered at once.
const AT_ONCE: usize = 4;
/// And so many a second, over time; each costs a signature and a sync.
const A_SECOND: f64 = 20.0;
/// How long until those who could not be reached are called on again.
const AGAIN: Duration = Duration::from_secs(5);
/// The first byte of an answer to an introduction: what follows is our own membership, or why not.
const COME_IN: u8 = 1;
/// See [`COME_IN`].
const STAY_OUT: u8 = 2;

/// What this node is in its mesh, and what it needs to let others in.
pub(crate) struct Desk {
    pub(crate) name: NodeName,
    pub(crate) key: Arc<SecretKey>,
    pub(crate) papers: Papers,
    pub(crate) tickets: TicketBook,
    pub(crate) fabric: Fabric,
    pub(crate) door: Door,
    /// How long the memberships that it signs hold.
    pub(crate) life: Duration,
    pace: Mutex<(Instant, f64)>,
    seats: Semaphore,
}

impl Desk {
    pub(crate) fn new(
        name: NodeName,
        key: Arc<SecretKey>,
        papers: Papers,
        tickets: TicketBook,
        fabric: Fabric,
        life: Duration,
    ) -> Self {
        let pace = Mutex::new((Instant::now(), A_SECOND));
        let seats = Semaphore::new(AT_ONCE);
        Self { name, key, papers, tickets, fabric, door: Door::default(), life, pace, seats }
    }

    /// Answers whoever proved `peer` to the overlay. It blocks: for the disk.
    fn answer(&self, peer: &PublicKey, request: &Request) -> Answer {
        let refuse = |error: String| {
            tracing::warn!(peer = %peer.fingerprint(), "failed to answer a node that wants in: {error}");
            Answer::Refused(Reason::CannotIssue)
        };
        let certificate = match self.certificate() {
            Ok(Some(certificate)) => certificate,
            Ok(None) => {
                return refuse("this node is no issuer: `mesh node issuer add` makes it one".to_owned());
            }
            Err(error) => return refuse(error),
        };
        let Some(roots) = self.fabric.roots() else { return refuse("this mesh has no root".to_owned()) };
        let now = SystemClock.now();
        let answer = self.as_issuer(&certificate, &roots, |issuer| match request {
            Request::Join(join) => self.tickets.redeem(join, peer, issuer, now),
            Request::Renew(chain) => issuer.renew(chain, peer, now),
        });
        answer.unwrap_or_else(|error| refuse(error.to_string()))
    }

    /// Has the issuer that this node is do something, by what the records say now.
    pub(super) fn as_issuer<T>(
        &self,
        certificate: &Certificate,
        roots: &Roots,
        act: impl FnOnce(&Issuer<'_>) -> T,
    ) -> T {
        let authority = self.fabric.authority();
        act(&Issuer {
            key: &*self.key,
            certificate,
            roots,
            members: &authority.nodes,
            revoked: &self.fabric.revoked(),
            operators: &authority.operators,
            life: self.life,
        })
    }

    /// What makes this node an issuer: what the root said last, or what it had at its founding.
    pub(crate) fn certificate(&self) -> Result<Option<Certificate>, String> {
        match self.fabric.view().issuers.get(&self.key.public_key()) {
            Some(said) => Certificate::from_pem(&said.value.certificate).map(Some).map_err(|e| e.to_string()),
            None => self.papers.issuer().map_err(|e| e.to_string()),
        }
    }

    /// Whether there is time for one more stranger.
    fn has_time(&self) -> bool {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let gained = now.duration_since(pace.0).as_secs_f64() * A_SECOND;
        *pace = (now, (pace.1 + gained).min(A_SECOND));
        let has = pace.1 >= 1.0;
        if has {
            pace.1 -= 1.0;
        }
        has
    }
}

/// The issuer's side of joining and renewing.
pub(super) fn join_protocol(desk: &Arc<Desk>) -> Protocol {
    let desk = Arc::clone(desk);
    Protocol::streams(move |peer, stream| {
        let desk = Arc::clone(&desk);
        async move {
            // Whoever broke off asks again.
            let _ = timeout(PATIENCE, receive(desk, peer, stream)).await;
        }
    })
}

async fn receive(desk: Arc<Desk>, peer: PublicKey, mut stream: Stream) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    (&mut stream).take(MAX_REQUEST as u64 + 1).read_to_end(&mut bytes).await?;
    let who = peer.fingerprint();
    let request = match Request::decode(&bytes) {
        Ok(request) => request,
        Err(error) => {
            tracing::warn!(peer = %who, "failed to understand a node that wants in: {error}");
            return Ok(());
        }
    };
    let (Ok(_seat), true) = (desk.seats.acquire().await, desk.has_time()) else {
        return send(stream, &Answer::Refused(Reason::CannotIssue)).await;
    };
    let wanted = match &request {
        Request::Join(join) => format!("join as {}", join.name),
        Request::Renew(_) => "renew its membership".to_owned(),
    };
    let working = Arc::clone(&desk);
    let Ok(answer) = tokio::task::spawn_blocking(move || working.answer(&peer, &request)).await else {
        return Ok(());
    };
    match &answer {
        Answer::Refused(reason) => tracing::warn!(peer = %who, "refused to let a node {wanted}: {reason}"),
        Answer::Welcome(_) => tracing::info!(peer = %who, "let a node {wanted}"),
    }
    send(stream, &answer).await
}

async fn send(mut stream: Stream, answer: &Answer) -> std::io::Result<()> {
    stream.write_all(&answer.encode()).await?;
    stream.shutdown().await
}

/// The other side: one request, one answer.
pub(crate) async fn ask(overlay: &Overlay, issuer: PublicKey, request: &Request) -> Result<Answer, String> {
    let exchange = async {
        let mut stream = overlay.open(issuer, JOIN).await.map_err(|e| e.to_string())?;
        let io = |e: std::io::Error| e.to_string();
        stream.write_all(&request.encode()).await.map_err(io)?;
        stream.shutdown().await.map_err(io)?;
        let mut bytes = Vec::new();
        stream.take(MAX_ANSWER as u64 + 1).read_to_end(&mut bytes).await.map_err(io)?;
        Answer::decode(&bytes).map_err(|e| format!("its answer makes no sense: {e}"))
    };
    timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err("it did not answer in time".to_owned()))
}

/// Takes the membership of nodes that aren't known here yet, and shows our own.
pub(super) fn admit_protocol(desk: &Arc<Desk>, inputs: &mpsc::Sender<Input>) -> Protocol {
    let (desk, inputs) = (Arc::clone(desk), inputs.clone());
    Protocol::streams(move |peer, mut stream: Stream| {
        let (desk, inputs) = (Arc::clone(&desk), inputs.clone());
        async move {
            let exchange = async {
                let mut bytes = Vec::new();
                (&mut stream).take(MAX_RECORD as u64 + 1).read_to_end(&mut bytes).await?;
                let admitted = admit(&desk, &inputs, &peer, &bytes);
                let own = membership_of(&desk).ok_or("this node has no membership".to_owned());
                let (first, said) = match admitted.and(own) {
                    Ok(own) => (COME_IN, own.encode()),
                    Err(reason) => {
                        tracing::warn!(peer = %peer.fingerprint(), "turned a node away: {reason}");
                        (STAY_OUT, reason.into_bytes())
                    }
                };
                stream.write_u8(first).await?;
                stream.write_all(&said).await?;
                stream.shutdown().await
            };
            // Whoever broke off comes again.
            let _ = timeout(PATIENCE, exchange).await;
        }
    })
}

/// Believes a membership as one believes a stranger's: by today's roots, in its time, not revoked.
fn admit(desk: &Desk, inputs: &mpsc::Sender<Input>, peer: &PublicKey, bytes: &[u8]) -> Result<(), String> {
    let record = Record::decode(bytes).map_err(|e| format!("its record is malformed: {e}"))?;
    if record.key().kind != Kind::Member || record.writer() != *peer {
        return Err("it shows something else than its own membership".to_owned());
    }
    let now = SystemClock.now();
    if desk.door.name_of(peer).is_none() {
        let roots = desk.fabric.roots().ok_or("this mesh has no root")?;
        let chain = chain_of(&record).ok_or("its membership is malformed")?;
        // Not known here, its date counts: one that was removed, or that everybody lost, has no other way in.
        let anew = |e: Refusal| format!("{e}; it must join anew, with a ticket");
        chain.check_revoked(&desk.fabric.revoked()).map_err(anew)?;
        let member = chain.verify(&roots, now).map_err(anew)?;
        if member.key != *peer {
            return Err("it shows another's membership".to_owned());
        }
    }
    let receipt = desk.fabric.merge_one(record.clone(), now).map_err(|e| e.to_string())?;
    if receipt.new {
        desk.door.refresh(&desk.fabric);
        tracing::info!(peer = %peer.fingerprint(), "admitted {}", record.key().name.as_str());
        // A full queue means that we are late; then reconciliation brings it to the others.
        let _ = inputs.try_send(Input::Publish(Box::new(record)));
    }
    Ok(())
}

/// Our own membership, as others are to take it.
fn membership_of(desk: &Desk) -> Option<Record> {
    desk.fabric.record(&Key {
        kind: Kind::Member,
        namespace: Namespace::default(),
        owner: Owner::Node(desk.name.clone()),
        name: RecordName::of_node(&desk.name),
    })
}

fn chain_of(record: &Record) -> Option<Chain> {
    let member: genome::Member = types::json::from_slice(record.payload()?).ok()?;
    Chain::from_pem(&member.chain).ok()
}

/// Shows our membership to those we know, until one of them has us in, and has the core meet them.
pub(super) async fn introduce(network: &Network, peers: Vec<PublicKey>) {
    if peers.is_empty() {
        return;
    }
    loop {
        // Some at once: one that is gone must not hold up the others.
        let shows = peers.clone().into_iter().map(|peer| async move { (peer, show(network, peer).await) });
        let mut shows = futures_util::stream::iter(shows).buffer_unordered(AT_ONCE);
        let mut met = 0;
        while let Some((peer, shown)) = shows.next().await {
            match shown {
                Ok(()) => {
                    met += 1;
                    network.join(vec![peer.into()]).await;
                }
                Err(error) => {
                    tracing::warn!(peer = %peer.fingerprint(), "a node did not let us in: {error}");
                }
            }
            // Two know everybody else.
            if met == 2 {
                return;
            }
        }
        if met > 0 || !network.presence.here().is_empty() {
            return;
        }
        network.join(peers.iter().map(|peer| (*peer).into()).collect()).await;
        tokio::time::sleep(AGAIN).await;
    }
}

async fn show(network: &Network, peer: PublicKey) -> Result<(), String> {
    let desk = &network.desk;
    let record = membership_of(desk).ok_or("this node has no membership")?;
    network.quarantine.settled(&record.id()).await;
    let exchange = async {
        let mut stream = network.overlay.open(peer, ADMIT).await.map_err(|e| e.to_string())?;
        let io = |e: std::io::Error| e.to_string();
        stream.write_all(&record.encode()).await.map_err(io)?;
        stream.shutdown().await.map_err(io)?;
        let first = stream.read_u8().await.map_err(io)?;
        let mut said = Vec::new();
        stream.take(MAX_RECORD as u64 + 1).read_to_end(&mut said).await.map_err(io)?;
        match first {
            COME_IN => admit(desk, &network.inputs, &peer, &said),
            _ => Err(String::from_utf8_lossy(&said).chars().filter(|c| !c.is_control()).take(200).collect()),
        }
    };
    timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err("it did not answer in time".to_owned()))
}
