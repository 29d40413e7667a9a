//! A machine that moves: its new addresses are told to the others as soon as they are noticed.

use std::sync::Arc;
use std::time::Duration;

use fabric::net::Input;
use types::NodeName;

use super::{Network, reachable_at};
use crate::clock::SystemClock;

/// How often the machine's addresses are looked at: a few microseconds of work.
const LOOK: Duration = Duration::from_millis(500);

/// Looks until it is dropped. What the operator advertises holds whatever the machine has.
pub(super) async fn follow(network: &Network) {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let now = reachable_at(network.overlay.addresses(), &network.advertise);
        if now.is_empty() || *network.addresses.borrow() == now {
            continue;
        }
        let texts: Vec<String> = now.iter().map(ToString::to_string).collect();
        tracing::info!(addresses = texts.join(", "), "this machine has moved");
        network.addresses.send_replace(now.clone());
        network.tell(Input::Addresses(now)).await;
        say(network, &network.desk.name, texts);
    }
}

/// So that others know it after a restart, too.
fn say(network: &Network, name: &NodeName, addresses: Vec<String>) {
    let desk = &network.desk;
    let Some(said) = desk.fabric.view().nodes.get(name).map(|node| (**node).clone()) else { return };
    let node = genome::Node { addresses, ..said };
    if let Err(error) = desk.fabric.publish_node(&node, &*Arc::clone(&desk.key), SystemClock.now()) {
        tracing::warn!(%error, "can't publish where this machine is now");
    }
}
