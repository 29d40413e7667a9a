//! The format of `trust.json`, strict in both directions.
//!
//! ```json
//! {
//!   "version": 1,
//!   "publishers": [
//!     { "public_key": "<Ed25519, base64>", "comment": "<whose it is>", "added_at": "<RFC 3339, UTC>" }
//!   ]
//! }
//! ```
//!
//! Sorted by key, so that two machines with the same trust have the same file. A field or version that
//! isn't known is refused rather than dropped when the file is next written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use types::{PublicKey, Timestamp};

use super::Trusted;
use crate::document;

const VERSION: u32 = 1;
/// The longest comment, in bytes; that of a `Trust` record too.
const MAX_COMMENT: usize = 256;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    publishers: Vec<Publisher>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Publisher {
    public_key: PublicKey,
    comment: String,
    added_at: Timestamp,
}

pub(crate) fn encode<'a>(publishers: impl Iterator<Item = &'a Trusted>) -> Vec<u8> {
    let publishers = publishers
        .map(|t| Publisher { public_key: t.public_key, comment: t.comment.clone(), added_at: t.added_at })
        .collect();
    document::encode(&Document { version: VERSION, publishers })
}

pub(crate) fn decode(bytes: &[u8]) -> Result<BTreeMap<PublicKey, Trusted>, String> {
    let document: Document = document::decode(bytes, VERSION)?;
    let mut publishers = BTreeMap::new();
    for Publisher { public_key, comment, added_at } in document.publishers {
        if !is_comment(&comment) {
            return Err(format!(
                "the comment of {public_key} is more than {MAX_COMMENT} bytes, or has control characters"
            ));
        }
        let trusted = Trusted { public_key, fingerprint: public_key.fingerprint(), comment, added_at };
        if publishers.insert(public_key, trusted).is_some() {
            return Err(format!("the key {public_key} stands twice"));
        }
    }
    Ok(publishers)
}

/// Whether people can be shown this: short, and without control characters.
pub(crate) fn is_comment(text: &str) -> bool {
    text.len() <= MAX_COMMENT && !text.chars().any(char::is_control)
}
