//! What a node says of an app: one record of a kind each, signed by the node.

use genome::{Credit, Demand, Invalid, Learned, Observed};
use serde::Serialize;
use serde::de::DeserializeOwned;
use types::{AppName, NodeName};

use crate::Kind;

/// The value of such a record.
pub trait Seen: Serialize + DeserializeOwned {
    /// The kind of its records.
    const KIND: Kind;

    /// The app, and the node that says it.
    fn place(&self) -> (&AppName, &NodeName);

    /// Whether it can be meant.
    fn check(&self) -> Result<(), Invalid>;
}

macro_rules! seen {
    ($($type:ident),*) => { $(
        impl Seen for $type {
            const KIND: Kind = Kind::$type;

            fn place(&self) -> (&AppName, &NodeName) {
                (&self.app_name, &self.node_id)
            }

            fn check(&self) -> Result<(), Invalid> {
                self.validate()
            }
        }
    )* };
}

seen!(Observed, Demand, Learned, Credit);
