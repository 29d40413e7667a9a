//! What the records say of who belongs to the mesh, put into effect: the door is opened and shut.

use std::sync::Arc;
use std::time::Duration;

use fabric::View;
use types::Signer as _;

use super::Network;
use crate::clock::SystemClock;

/// Changes come in swarms, and a copy of ten thousand members costs a millisecond.
const PAUSE: Duration = Duration::from_millis(20);

/// Follows the records until it is dropped.
pub(super) async fn follow(network: &Network) {
    let desk = &network.desk;
    let own = desk.key.public_key();
    let mut changes = desk.fabric.subscribe();
    let (mut told, mut last) = (false, None::<Arc<View>>);
    loop {
        changes.changed().await;
        let view = desk.fabric.view();
        if last.as_ref().is_some_and(|last| says_the_same(last, &view)) {
            continue;
        }
        last = Some(view);
        desk.door.refresh(&desk.fabric);
        let revoked = desk.fabric.revoked();
        if revoked.contains(&own) && !std::mem::replace(&mut told, true) {
            tracing::error!(
                "an operator removed this node from the mesh: it may join again, with a new key and a ticket"
            );
        }
        let mut removed = false;
        for name in network.presence.shut_out(&revoked) {
            tracing::info!("node {name} was removed from the mesh");
            removed = true;
        }
        revoked.iter().for_each(|key| network.overlay.cut(key));
        if removed {
            desk.fabric.touch(SystemClock.now());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether both say the same of who may do what: each view shares what did not change with the one before.
fn says_the_same(one: &View, other: &View) -> bool {
    Arc::ptr_eq(&one.members, &other.members)
        && Arc::ptr_eq(&one.operators, &other.operators)
        && Arc::ptr_eq(&one.revoked, &other.revoked)
}
