//! A membership is renewed at half its life, by any issuer that answers. Without one it is tried again and
//! again; the members that know us keep us meanwhile, whatever the date.

use std::time::Duration;

use soul::{Answer, Chain, Request, Roots, Welcome};
use tokio::time::timeout;
use types::{PublicKey, Signer as _};

use super::{Network, admission};
use crate::clock::SystemClock;

/// How long after the first try that failed the next one is made: right after the start nobody is known to be here
/// yet. Each further failure doubles it.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest pause between two tries.
const RETRY: Duration = Duration::from_secs(60);
/// Clocks are moved: the date is looked at so often at least.
const LOOK: Duration = Duration::from_secs(600);

/// Renews until it is dropped.
pub(super) async fn follow(network: &Network) {
    let desk = &network.desk;
    let mut retry = RETRY_FIRST;
    loop {
        let pause = match (desk.papers.chain(), desk.fabric.roots()) {
            (Ok(Some(chain)), Some(roots)) => {
                let (due, now) = (chain.renew_at(&roots), SystemClock.now());
                if due > now {
                    due.since(now).min(LOOK)
                } else {
                    match renew(network, &chain, &roots).await {
                        Ok(until) => {
                            tracing::info!(%until, "renewed the membership of this node");
                            retry = RETRY_FIRST;
                            continue;
                        }
                        Err(error) => {
                            tracing::warn!("failed to renew the membership of this node: {error}");
                            let longer = (retry * 2).min(RETRY);
                            std::mem::replace(&mut retry, longer)
                        }
                    }
                }
            }
            (Err(error), _) => {
                tracing::warn!(%error, "can't read the membership of this node");
                RETRY
            }
            (Ok(_), _) => return std::future::pending().await,
        };
        // Whoever was cut off from all issuers needs not wait once one is there again.
        let _ = timeout(pause, issuer_comes(network)).await;
    }
}

/// Waits until an issuer answers that doesn't answer now.
async fn issuer_comes(network: &Network) {
    let mut changes = network.desk.fabric.subscribe();
    let before = issuers(network);
    while issuers(network).iter().all(|issuer| before.contains(issuer)) {
        changes.changed().await;
    }
}

async fn renew(network: &Network, chain: &Chain, roots: &Roots) -> Result<types::Timestamp, String> {
    let desk = &network.desk;
    let welcome = match for_itself(network, roots) {
        Ok(welcome) => welcome,
        Err(reason) => from_others(network, chain, reason).await?,
    };
    let now = SystemClock.now();
    let me = desk.key.public_key();
    let (_, member) = welcome.accept(roots, &me, &desk.name, now).map_err(|e| e.to_string())?;
    desk.papers.keep_chain(&welcome.chain).map_err(|e| e.to_string())?;
    desk.fabric.join_as(&desk.name, &welcome.chain, &*desk.key, now).map_err(|e| e.to_string())?;
    Ok(member.expires)
}

/// Asks one issuer after the other; `before` is why this node can't help itself.
async fn from_others(network: &Network, chain: &Chain, before: Option<String>) -> Result<Welcome, String> {
    let mut reasons = Vec::from_iter(before);
    for issuer in issuers(network) {
        match admission::ask(&network.overlay, issuer, &Request::Renew(Box::new(chain.clone()))).await {
            Ok(Answer::Welcome(welcome)) => return Ok(*welcome),
            Ok(Answer::Refused(reason)) => reasons.push(reason.to_string()),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(if reasons.is_empty() { "no issuer answers".to_owned() } else { reasons.join("; ") })
}

/// An issuer asks nobody.
fn for_itself(network: &Network, roots: &Roots) -> Result<Welcome, Option<String>> {
    let desk = &network.desk;
    let certificate = desk.certificate().map_err(Some)?.ok_or(None)?;
    let now = SystemClock.now();
    let welcome = desk.as_issuer(&certificate, roots, |issuer| issuer.for_itself(desk.name.clone(), now));
    welcome.map_err(|e| Some(e.to_string()))
}

/// The issuers that answer.
fn issuers(network: &Network) -> Vec<PublicKey> {
    let view = network.desk.fabric.view();
    view.issuers.keys().filter(|key| network.presence.is_here(key)).copied().collect()
}
