//! The format of `tickets.json`, strict in both directions.
//!
//! ```json
//! {
//!   "version": 1,
//!   "tickets": [
//!     { "ticket": "<Ed25519 public key, base64>", "not_after": "<RFC 3339, UTC>",
//!       "redeemed": { "key": "<the node's key>", "name": "<its name>", "at": "<RFC 3339, UTC>" } }
//!   ]
//! }
//! ```
//!
//! `redeemed` is missing while the ticket is open. Sorted by ticket. A field or version that isn't known is
//! refused rather than dropped when the file is next written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use types::{NodeName, PublicKey, Timestamp};

use super::{Entry, MAX_TICKETS, Redeemed};
use crate::document;

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    tickets: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    ticket: PublicKey,
    not_after: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    redeemed: Option<By>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct By {
    key: PublicKey,
    name: NodeName,
    at: Timestamp,
}

pub(crate) fn encode<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<u8> {
    let line = |entry: &Entry| {
        let redeemed = entry.redeemed.clone().map(|Redeemed { key, name, at }| By { key, name, at });
        Line { ticket: entry.ticket, not_after: entry.not_after, redeemed }
    };
    document::encode(&Document { version: VERSION, tickets: entries.map(line).collect() })
}

pub(crate) fn decode(bytes: &[u8]) -> Result<BTreeMap<PublicKey, Entry>, String> {
    let document: Document = document::decode(bytes, VERSION)?;
    if document.tickets.len() > MAX_TICKETS {
        return Err(format!("it has more than {MAX_TICKETS} tickets"));
    }
    let mut entries = BTreeMap::new();
    for Line { ticket, not_after, redeemed } in document.tickets {
        let redeemed = redeemed.map(|By { key, name, at }| Redeemed { key, name, at });
        if entries.insert(ticket, Entry { ticket, not_after, redeemed }).is_some() {
            return Err(format!("the ticket {ticket} stands twice"));
        }
    }
    Ok(entries)
}
