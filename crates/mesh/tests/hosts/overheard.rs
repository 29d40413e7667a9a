//! A ticket that was overheard while it was used: whoever saw all that a joining node said can do nothing with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyphae::{Limits, Overlay};
use soul::{Answer, KeyStore, Reason, Request, Ticket};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use types::{NodeName, PublicKey, Signer as _};

use crate::cluster::{RUN, ticket};
use crate::host::Host;
use crate::lan::Lan;
use crate::tests;

tests!(a_ticket_that_was_overheard_in_use_lets_nobody_in);

/// Says to the issuer, from a host and with a key of its own, what another one said to it.
fn repeat(host: &Host, ticket: &Ticket, said: &[u8]) -> Answer {
    let everybody = |_: &PublicKey, _: &str| Ok(());
    let config = hyphae::Config {
        key: zeroize::Zeroizing::new([7; 32]),
        listen: vec![(host.v4(), 0).into()],
        gate: Arc::new(everybody),
        protocols: BTreeMap::new(),
        limits: Limits::default(),
    };
    host.space().inside(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let overlay = Overlay::start(config).await.unwrap();
            overlay.learn(*ticket.issuer(), ticket.addresses()).unwrap();
            let mut stream = overlay.open(*ticket.issuer(), "join/1").await.unwrap();
            stream.write_all(said).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            Answer::decode(&answer).unwrap()
        })
    })
}

fn a_ticket_that_was_overheard_in_use_lets_nobody_in() {
    let lan = Lan::new(3);
    let (issuer, friend, thief) = (lan.host(0), lan.host(1), lan.host(2));
    issuer.mesh("node init").good();
    let mesh = issuer.start(RUN);
    mesh.ready();
    let text = ticket(issuer);
    let ticket = Ticket::parse(&text).unwrap();
    // It has its key from the first try on, which gets nowhere; so what it will say is known here.
    lan.cut(&[0], &[1]);
    assert_ne!(friend.mesh(&format!("node join {text}")).code, 0);
    lan.heal();
    let key = KeyStore::open(&friend.state().join("nodes")).unwrap().ensure("h1").unwrap().0.public_key();
    let said = Request::Join(ticket.redeem(&key, NodeName::new("h1").unwrap())).encode();

    let refused = |answer: Answer, why: Reason| {
        assert!(matches!(&answer, Answer::Refused(reason) if *reason == why), "{answer:?}");
        // What the thief is told the issuer's log says as well.
        mesh.line("the refusal", |line| line.contains(&format!("refused to let a node join as h1: {why}")));
    };
    refused(repeat(thief, &ticket, &said), Reason::Proof);
    // It was not used up by that.
    friend.mesh(&format!("node join {text}")).good();
    let node = friend.start(RUN);
    node.ready();
    friend.sees(&lan.hosts()[..2]);
    refused(repeat(thief, &ticket, &said), Reason::Proof);
    // Nor is the whole ticket worth anything once it was used: whoever finds it is told so.
    let ran = thief.mesh(&format!("node join {text}")).ended(4);
    assert!(ran.stderr.contains(&Reason::Used.to_string()), "{ran:?}");
    mesh.line("the refusal", |line| {
        line.contains(&format!("refused to let a node join as h2: {}", Reason::Used))
    });
}
