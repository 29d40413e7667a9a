//! The readers of what peers send, for the fuzz target and its corpus; for nobody else.

use std::time::Duration;

use types::{Digest, PublicKey, Timestamp};

use super::envelope::{Message, Opened};
use super::peer::{Peer, PeerId};
use super::swim::sift;
use super::{Class, Config, CoreAt, Input, Net};
use crate::{Authority, Core, MeshId};

/// Hands `bytes` to everything that reads a peer's message.
///
/// # Panics
/// When what reads has another form than it came in, or when something is stored: nobody may write here.
pub fn message(bytes: &[u8]) {
    if let Ok(Opened::Message(message)) = Message::decode(bytes) {
        assert_eq!(message.encode(), bytes, "what reads is canonical");
        if let Message::Swim(body) = &message
            && let Ok(sifted) = sift(body, |_| true)
        {
            assert_eq!(sifted.bytes, *body, "nothing was taken out");
            assert!(sift(body, |_| false).is_ok());
        }
    }
    let mesh = MeshId::from_bytes([5; 32]);
    let now = Timestamp::from_secs(1_800_000_000);
    // the generator of the curve: a key like any other
    let mut key = [0x66; 32];
    key[0] = 0x58;
    let name = |number: u8| types::NodeName::new(&format!("node-{number}")).expect("a short name");
    let public = PublicKey::from_bytes(&key).expect("a point of the curve");
    let authority = Authority { nodes: [(name(2), public)].into(), ..Authority::default() };
    let mut core = Core::new(mesh, authority, now);
    let config = Config {
        id: PeerId::from_bytes([1; 32]),
        name: name(1),
        addresses: Vec::new(),
        generation: now.as_millis(),
        seed: *Digest::of(b"fuzz").as_bytes(),
    };
    let mut net = Net::new(config, Duration::ZERO);
    let from = PeerId::from_bytes(key);
    let member = foca::Member::alive(Peer::new(from, now.as_millis(), name(2), Vec::new()));
    let known = Message::Members { of: 1, back: Vec::new(), members: vec![member] }.encode();
    let received = |class, bytes: &[u8]| Input::Received { from, class, bytes: bytes.to_vec() };
    let inputs = [
        received(Class::Reliable, &known),
        received(Class::Datagram, bytes),
        received(Class::Reliable, bytes),
        Input::Timer,
    ];
    for (second, input) in (1..).zip(inputs) {
        let mut outputs = Vec::new();
        let mut store = CoreAt { core: &mut core, now, outputs: &mut outputs };
        net.handle(input, Duration::from_secs(second), &mut store);
    }
    assert_eq!(core.ids().count(), 0, "nobody may write here");
}
