//! Types: the words every organ shares (identifiers, digests, keys, time, strict JSON).
//!
//! Nothing here opens a file, a socket or reads a clock. A type stays with its owner until two
//! siblings need it; only then does it move down here.

mod digest;
pub mod json;
mod key;
mod mesh;
mod metric;
mod name;
mod time;
mod workload;

pub use digest::{Digest, DigestError};
pub use key::{Fingerprint, KeyError, PublicKey, SignError, Signature, SignatureError, Signer};
pub use mesh::MeshId;
pub use metric::{Aggregate, Metric};
pub use name::{AppName, NameError, Namespace, NodeName, ReplicaName, SettingName};
pub use time::{Timestamp, TimestampError};
pub use workload::{Nutrients, Workload};

#[cfg(test)]
mod tests;
