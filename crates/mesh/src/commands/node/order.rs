//! What operators say of nodes: signed here, obeyed everywhere.

use fabric::{Kind, Record, RecordName};
use genome::{Drain, Issuer, Revoke};
use mycelium::api::MemberStatus;
use soul::{Certificate, ISSUER_LIFE};
use types::{NodeName, PublicKey};

use super::Named;
use crate::context::Context;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::publisher::now;

/// Has a node's work moved elsewhere, or gives it work again.
pub(super) fn drain(context: &Context, named: &Named, away: bool) -> Result<(), Failure> {
    let operator = Operator::open(context, named.operator.as_deref())?;
    let name = RecordName::of_node(&named.node);
    context.block_on(async {
        known(&operator, &named.node).await?;
        let said = if away {
            operator
                .say(&Kind::Drain, &name, |at, hand| {
                    if at.value.is_some() {
                        return Ok(None);
                    }
                    let drain = Drain { node_id: named.node.clone() };
                    Ok(Some(Record::drain(hand.mesh(), at.next_generation, &drain, hand.key())?))
                })
                .await?
        } else {
            operator.unsay(Kind::Drain, &name).await?
        };
        let node = &named.node;
        context.out.note(match (away, said) {
            (true, Some(receipt)) => {
                format!("{node} gives its work away ({}); `mesh ps` shows it", receipt.safe)
            }
            (true, None) => format!("{node} gives its work away already"),
            (false, Some(receipt)) => format!("{node} takes work again ({})", receipt.safe),
            (false, None) => format!("{node} takes work already"),
        });
        Ok(())
    })
}

/// Shuts a node out.
pub(super) fn remove(context: &Context, named: &Named, reason: &str) -> Result<(), Failure> {
    let operator = Operator::open(context, named.operator.as_deref())?;
    context.block_on(async {
        let node = known(&operator, &named.node).await?;
        let key = key_of(&node)?;
        let revoke = Revoke { public_key: key, name: named.node.clone(), reason: reason.to_owned() };
        let said = operator
            .say(&Kind::Revoke, &RecordName::of_key(&key), |at, hand| {
                if at.value.is_some() {
                    return Ok(None);
                }
                Ok(Some(Record::revoke(hand.mesh(), at.next_generation, &revoke, hand.key())?))
            })
            .await?;
        context.out.note(match said {
            Some(receipt) => {
                format!("{} is out ({}); it can only come back with a new key", named.node, receipt.safe)
            }
            None => format!("{} is out already", named.node),
        });
        Ok(())
    })
}

/// Lets a node let others in.
pub(super) fn add_issuer(context: &Context, node: &NodeName, root: Option<&str>) -> Result<(), Failure> {
    let hand = Operator::root(context, root)?;
    context.block_on(async {
        let key = key_of(&known(&hand, node).await?)?;
        let certificate = Certificate::for_issuer(hand.mesh(), key, hand.key(), now(), ISSUER_LIFE)?;
        let issuer = Issuer { node_id: node.clone(), public_key: key, certificate: certificate.to_pem() };
        hand.say(&Kind::Issuer, &RecordName::of_key(&key), |at, hand| {
            Ok(Some(Record::issuer(hand.mesh(), at.next_generation, &issuer, hand.key())?))
        })
        .await?;
        let until = certificate.not_after;
        context.out.note(format_args!("{node} may let others in until {until}"));
        Ok(())
    })
}

async fn known(operator: &Operator, name: &NodeName) -> Result<MemberStatus, Failure> {
    let nodes = operator.client().nodes().await?;
    nodes.into_iter().find(|node| node.node_id == *name).ok_or_else(|| {
        Failure::new(format_args!("no node is called {name}"))
            .hint("`mesh nodes` lists the nodes of the mesh")
    })
}

fn key_of(node: &MemberStatus) -> Result<PublicKey, Failure> {
    node.public_key
        .ok_or_else(|| Failure::new(format_args!("{} is no member of the mesh any more", node.node_id)))
}
