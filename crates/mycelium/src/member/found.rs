//! Founding a mesh: its keys, its first issuer, its first operator.

use std::collections::{BTreeMap, BTreeSet};

use fabric::{Authority, Fabric, Record};
use genome::{Issuer as IssuerRecord, Operator, Trust};
use soul::{Certificate, Genesis, ISSUER_LIFE, Issuer, KeyStore, Papers, Roots, SecretKey};
use types::{Fingerprint, MeshId, Signer as _};

use super::{MemberError, NodeFile, check_free};
use crate::clock::SystemClock;
use crate::identity::{self, MeshFile};
use crate::journal::RedbJournal;
use crate::lock::StateLock;
use crate::{Paths, StartError};

/// A mesh that was founded.
#[derive(Debug, Clone)]
pub struct Founded {
    /// Its identity.
    pub mesh: MeshId,
    /// The keys that were made or found, by name.
    pub keys: Vec<(String, Fingerprint)>,
}

/// The names of a mesh's keys in the key folder.
pub const ROOT: &str = "root";
/// See [`ROOT`].
pub const RECOVERY: &str = "recovery";
/// See [`ROOT`].
pub const OPERATOR: &str = "operator";
/// The key that signs what is built here.
pub const PUBLISHER: &str = "dev";

/// Founds a mesh whose first node and issuer this machine is. Keys that are there are used; the mesh is new.
pub fn found(paths: &Paths, node: &NodeFile) -> Result<Founded, MemberError> {
    paths.claim()?;
    let _lock = StateLock::take(&paths.lock()).map_err(|_| MemberError::Running(paths.state.clone()))?;
    check_free(paths)?;
    let keys = KeyStore::open(&paths.keys())?;
    let [root, recovery, operator, publisher] =
        [ROOT, RECOVERY, OPERATOR, PUBLISHER].map(|name| keys.ensure(name).map(|(key, _)| key));
    let (root, recovery, operator, publisher) = (root?, recovery?, operator?, publisher?);
    let own = KeyStore::open(&paths.node_keys())?.ensure(node.name.as_str())?.0;
    let now = SystemClock.now();
    let roots = Roots::new(Genesis::new(root.public_key(), recovery.public_key())?);
    let mesh = roots.mesh();
    let certificate = Certificate::for_issuer(mesh, own.public_key(), &root, now, ISSUER_LIFE)?;
    let operators = BTreeSet::from([operator.public_key()]);
    let issuer = Issuer {
        key: &own,
        certificate: &certificate,
        roots: &roots,
        members: &BTreeMap::new(),
        revoked: &BTreeSet::new(),
        operators: &operators,
        life: node.membership_life(),
    };
    let chain = issuer.for_itself(node.name.clone(), now)?.chain;
    let papers = Papers::open(&paths.papers())?;
    papers.keep_roots(&roots)?;
    papers.keep_issuer(&certificate)?;
    papers.keep_chain(&chain)?;
    let first = First { mesh, node, root: &root, operator: &operator, publisher: &publisher };
    let records = first.records(&own, &certificate)?;
    first.keep(paths, &roots, &own, &chain, records)?;
    node.keep(paths)?;
    // Last: it makes the state a mesh.
    identity::create(paths, &MeshFile { mesh, operators: Vec::new() })?;
    let named = [(ROOT, &root), (RECOVERY, &recovery), (OPERATOR, &operator), (PUBLISHER, &publisher)];
    let keys = named.into_iter().map(|(name, key)| (name.to_owned(), key.fingerprint())).collect();
    Ok(Founded { mesh, keys })
}

/// What the first records are made of.
struct First<'a> {
    mesh: MeshId,
    node: &'a NodeFile,
    root: &'a SecretKey,
    operator: &'a SecretKey,
    publisher: &'a SecretKey,
}

impl First<'_> {
    /// An operator, an issuer, a trusted publisher.
    fn records(&self, own: &SecretKey, certificate: &Certificate) -> Result<Vec<Record>, MemberError> {
        let Self { mesh, node, root, operator, publisher } = self;
        let first = Operator {
            public_key: operator.public_key(),
            name: OPERATOR.to_owned(),
            removed: false,
            keeps: Vec::new(),
        };
        let issuer = IssuerRecord {
            node_id: node.name.clone(),
            public_key: own.public_key(),
            certificate: certificate.to_pem(),
        };
        let comment = format!("development key of {}", node.name);
        let trust = Trust { public_key: publisher.public_key(), comment };
        Ok(vec![
            Record::operator(*mesh, 1, &first, *root)?,
            Record::issuer(*mesh, 1, &issuer, *root)?,
            Record::trust(*mesh, 1, &trust, *operator)?,
        ])
    }

    fn keep(
        &self,
        paths: &Paths,
        roots: &Roots,
        own: &SecretKey,
        chain: &soul::Chain,
        records: Vec<Record>,
    ) -> Result<(), MemberError> {
        let path = paths.journal();
        let opened = RedbJournal::open(&path).map_err(|source| StartError::State { path, source });
        let (journal, stored) = opened?;
        let authority = Authority { roots: Some(roots.clone()), ..Authority::default() };
        let config = fabric::Config { mesh: self.mesh, authority, journal: Some(Box::new(journal)) };
        let now = SystemClock.now();
        let (fabric, _) = Fabric::new(config, stored, now)?;
        for record in records {
            fabric.submit(record, now)?;
        }
        fabric.join_as(&self.node.name, chain, own, now)?;
        fabric.close()?;
        Ok(())
    }
}
