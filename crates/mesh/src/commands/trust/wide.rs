//! Trust that an operator signs, for every node of the mesh.

use fabric::{Kind, Record, RecordName};
use genome::Trust;
use types::PublicKey;

use crate::context::Context;
use crate::failure::Failure;
use crate::operator::Operator;

/// Has every node trust a publisher.
pub(super) fn add(
    context: &Context,
    operator: &Operator,
    publisher: PublicKey,
    comment: &str,
) -> Result<(), Failure> {
    let trust = Trust { public_key: publisher, comment: comment.to_owned() };
    let said =
        context.block_on(operator.say(&Kind::Trust, &RecordName::of_key(&publisher), |at, hand| {
            if at.value.is_some() {
                return Ok(None);
            }
            Ok(Some(Record::trust(hand.mesh(), at.next_generation, &trust, hand.key())?))
        }))?;
    let fingerprint = publisher.fingerprint();
    context.out.note(match said {
        Some(receipt) => format!("trusted in the whole mesh: {fingerprint} ({})", receipt.safe),
        None => format!("already trusted in the whole mesh: {fingerprint}"),
    });
    Ok(())
}

/// Has no node trust a publisher for the mesh's sake any more.
pub(super) fn remove(context: &Context, operator: &Operator, publisher: PublicKey) -> Result<(), Failure> {
    let said = context.block_on(operator.unsay(Kind::Trust, &RecordName::of_key(&publisher)))?;
    let fingerprint = publisher.fingerprint();
    context.out.note(match said {
        Some(receipt) => format!("no longer trusted in the mesh: {fingerprint} ({})", receipt.safe),
        None => format!("not trusted in the mesh: {fingerprint}"),
    });
    Ok(())
}
