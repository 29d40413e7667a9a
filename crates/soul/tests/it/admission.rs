//! A mesh is founded, grows, loses its root, and gets another: as its users see it, on a real disk.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use soul::{
    Answer, Certificate, Genesis, ISSUER_LIFE, Issuer, KeyStore, Papers, PapersError, Reason, Refusal,
    Request, Roots, SecretKey, Succession, TICKET_LIFE, Ticket, TicketBook, Welcome,
};
use types::{NodeName, PublicKey, Signer as _, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

fn address() -> Vec<SocketAddr> {
    vec!["192.0.2.1:7700".parse().unwrap()]
}

/// A node: its folder, its key, and what it knows of the others.
struct Node {
    dir: tempfile::TempDir,
    key: SecretKey,
    members: BTreeMap<NodeName, PublicKey>,
    revoked: BTreeSet<PublicKey>,
}

impl Node {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyStore::open(dir.path()).unwrap().create("node").unwrap();
        Self { dir, key, members: BTreeMap::new(), revoked: BTreeSet::new() }
    }

    fn papers(&self) -> Papers {
        Papers::open(self.dir.path()).unwrap()
    }

    fn roots(&self) -> Roots {
        self.papers().roots().unwrap().unwrap()
    }

    fn with_issuer<T>(&self, use_it: impl FnOnce(&Issuer<'_>) -> T) -> T {
        use_it(&Issuer {
            key: &self.key,
            certificate: &self.papers().issuer().unwrap().unwrap(),
            roots: &self.roots(),
            members: &self.members,
            revoked: &self.revoked,
            operators: &BTreeSet::new(),
            life: soul::MEMBERSHIP_LIFE,
        })
    }

    fn ticket(&self, now: Timestamp) -> String {
        let book = TicketBook::open(self.dir.path()).unwrap();
        let genesis = *self.roots().genesis();
        let ticket = book.issue(genesis, self.key.public_key(), address(), now, TICKET_LIFE).unwrap();
        ticket.to_text().to_string()
    }

    /// Answers the bytes of a request, as they come from the node with this key.
    fn answer(&self, request: &[u8], peer: &PublicKey, now: Timestamp) -> Vec<u8> {
        let answer = self.with_issuer(|issuer| match Request::decode(request).unwrap() {
            Request::Join(join) => {
                TicketBook::open(self.dir.path()).unwrap().redeem(&join, peer, issuer, now)
            }
            Request::Renew(chain) => issuer.renew(&chain, peer, now),
        });
        answer.unwrap().encode()
    }

    /// Asks, and keeps what it gets.
    fn ask(
        &self,
        request: &Request,
        issuer: &Self,
        roots: &Roots,
        node: &str,
        now: Timestamp,
    ) -> Option<Reason> {
        let key = self.key.public_key();
        match Answer::decode(&issuer.answer(&request.encode(), &key, now)).unwrap() {
            Answer::Refused(reason) => Some(reason),
            Answer::Welcome(welcome) => {
                self.keep(&welcome, roots, node, now);
                None
            }
        }
    }

    fn keep(&self, welcome: &Welcome, roots: &Roots, node: &str, now: Timestamp) {
        let (roots, _) = welcome.accept(roots, &self.key.public_key(), &name(node), now).unwrap();
        self.papers().keep_roots(&roots).unwrap();
        self.papers().keep_chain(&welcome.chain).unwrap();
    }

    fn join(&self, text: &str, issuer: &Self, node: &str, now: Timestamp) -> Option<Reason> {
        let ticket = Ticket::parse(text).unwrap();
        assert_eq!(ticket.issuer(), &issuer.key.public_key());
        let request = Request::Join(ticket.redeem(&self.key.public_key(), name(node)));
        self.ask(&request, issuer, &Roots::new(*ticket.genesis()), node, now)
    }

    fn renew(&self, issuer: &Self, node: &str, now: Timestamp) -> Option<Reason> {
        let chain = self.papers().chain().unwrap().unwrap();
        self.ask(&Request::Renew(Box::new(chain)), issuer, &self.roots(), node, now)
    }

    fn become_issuer(&self, root: &SecretKey, now: Timestamp) {
        let mesh = self.roots().mesh();
        let signed = Certificate::for_issuer(mesh, self.key.public_key(), root, now, ISSUER_LIFE).unwrap();
        // As it is carried from the machine of the root.
        self.papers().keep_issuer(&Certificate::from_pem(&signed.to_pem()).unwrap()).unwrap();
    }
}

/// A safe with the two keys, and the first node of the mesh that is founded on them.
fn found(safe: &Path) -> (SecretKey, SecretKey, Node) {
    let safe = KeyStore::open(safe).unwrap();
    let (root, recovery) = (safe.create("root").unwrap(), safe.create("recovery").unwrap());
    let genesis = Genesis::new(root.public_key(), recovery.public_key()).unwrap();
    let first = Node::new();
    first.papers().keep_roots(&Roots::new(genesis)).unwrap();
    first.become_issuer(&root, NOW);
    let welcome = first.with_issuer(|issuer| issuer.for_itself(name("first"), NOW)).unwrap();
    first.keep(&welcome, &Roots::new(genesis), "first", NOW);
    (root, recovery, first)
}

#[test]
fn a_mesh_is_founded_grows_and_outlives_its_root() {
    let safe = tempfile::tempdir().unwrap();
    let (root, recovery, mut first) = found(safe.path());
    let text = first.ticket(NOW);
    let (second, third) = (Node::new(), Node::new());
    assert_eq!(second.join(&text, &first, "second", NOW), None);
    assert_eq!(third.join(&text, &first, "third", NOW), Some(Reason::Used));
    assert_eq!(third.papers().chain().unwrap(), None, "who was refused keeps nothing");

    // Each believes the other, until a day is over; then only because they are known to each other.
    let chain = second.papers().chain().unwrap().unwrap();
    assert_eq!(chain.verify(&first.roots(), NOW).unwrap().key, second.key.public_key());
    let days_later = NOW + Duration::from_hours(50);
    assert!(matches!(chain.verify(&first.roots(), days_later), Err(Refusal::Expired(..))));
    assert_eq!(chain.verify_known(&first.roots()).unwrap().name, name("second"));
    first.members.insert(name("second"), second.key.public_key());
    assert_eq!(second.renew(&first, "second", days_later), None);
    let chain = second.papers().chain().unwrap().unwrap();
    assert!(chain.verify(&first.roots(), days_later).is_ok());

    // The root is lost: one message of the recovery key names another.
    let new_root = KeyStore::open(safe.path()).unwrap().create("root-2").unwrap();
    let next =
        Succession::sign(&first.roots(), new_root.public_key(), recovery.public_key(), &recovery).unwrap();
    let mut roots = first.roots();
    assert_eq!(roots.apply(&Succession::from_pem(&next.to_pem()).unwrap()), Ok(true));
    first.papers().keep_roots(&roots).unwrap();
    assert!(matches!(chain.verify(&first.roots(), days_later), Err(Refusal::ReplacedRoot(_))));
    assert!(chain.verify_known(&first.roots()).is_ok(), "nobody is cut off");
    assert_eq!(chain.renew_at(&roots), Timestamp::default());
    first.become_issuer(&new_root, days_later);
    assert_eq!(second.renew(&first, "second", days_later), None);
    assert_eq!(second.roots(), roots, "it learned of the new root as it renewed");

    // The old root makes nobody an issuer any more.
    second.become_issuer(&root, days_later);
    let own = second.with_issuer(|issuer| issuer.for_itself(name("second"), days_later)).unwrap_err();
    assert!(own.to_string().contains("a root that has been replaced"), "{own}");
    assert_eq!(third.join(&first.ticket(days_later), &first, "third", days_later), None);

    first.revoked.insert(second.key.public_key());
    assert_eq!(second.renew(&first, "second", days_later), Some(Reason::Revoked));
}

#[test]
fn papers_never_go_back_and_never_change_the_mesh() {
    let safe = tempfile::tempdir().unwrap();
    let (_, recovery, node) = found(safe.path());
    let (old, mut new) = (node.roots(), node.roots());
    let next = Succession::sign(&old, node.key.public_key(), recovery.public_key(), &recovery).unwrap();
    new.apply(&next).unwrap();
    node.papers().keep_roots(&new).unwrap();
    let error = node.papers().keep_roots(&old).unwrap_err();
    assert!(matches!(error, PapersError::Older { old: 1, new: 0, .. }), "{error}");
    let (_, _, elsewhere) = found(tempfile::tempdir().unwrap().path());
    let error = node.papers().keep_roots(&elsewhere.roots()).unwrap_err();
    assert!(matches!(error, PapersError::OtherMesh { .. }), "{error}");
    assert_eq!(node.roots(), new);
}

#[test]
fn papers_that_were_altered_are_an_error_that_names_the_file() {
    let (_, _, node) = found(tempfile::tempdir().unwrap().path());
    for file in ["roots.pem", "chain.pem", "issuer.pem"] {
        let path = node.dir.path().join(file);
        let good = std::fs::read(&path).unwrap();
        for bad in [&b""[..], b"\xff", &good[..good.len() / 2], &[&good[..], b"more"].concat()] {
            std::fs::write(&path, bad).unwrap();
            let errors = [
                node.papers().roots().map(|_| ()),
                node.papers().chain().map(|_| ()),
                node.papers().issuer().map(|_| ()),
            ];
            let errors: Vec<_> = errors.into_iter().filter_map(Result::err).collect();
            assert_eq!(errors.len(), 1);
            assert!(errors[0].to_string().contains(file), "{}", errors[0]);
        }
        std::fs::write(&path, good).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let papers = Papers::open(dir.path()).unwrap();
    assert!(papers.roots().unwrap().is_none() && papers.issuer().unwrap().is_none(), "no file, no paper");
}
