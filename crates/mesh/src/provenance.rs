//! The provenance of a bundle: from which commit of which repository its program was built, and by whom, as far as
//! git and the person say. It is the publisher's word, signed; nothing here proves that the build was that one.

use std::path::Path;

use serde_json::{Value, json};
use types::Timestamp;

use crate::failure::Failure;
use crate::identity::{Commit, git, tree};

/// What kind of build the parameters below belong to.
const BUILD_TYPE: &str = "https://mycelium.invalid/build/v1";
/// Who builds where nobody says.
pub const BUILDER: &str = "https://mycelium.invalid/builders/mesh";

/// Who builds: a URI, as SLSA wants it.
pub fn builder(text: &str) -> Result<String, String> {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
    let named =
        !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if named && text.len() <= 512 && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("a builder is a URI, such as https://ci.example.com/runners/1".to_owned())
    }
}

/// SLSA's provenance (v1) of what was built in `folder`.
pub fn predicate(
    folder: &Path,
    (name, version): (&str, &str),
    builder: &str,
    created_at: Timestamp,
) -> Result<Value, Failure> {
    let (commit, state) = tree(folder);
    let Some(commit) = commit else {
        return Err(Failure::usage(format_args!(
            "{} has no git commit to name as its source",
            folder.display()
        ))
        .hint("commit it first, or leave --provenance out"));
    };
    let uri = git(folder, &["config", "--get", "remote.origin.url"]).map(|url| source_uri(&url));
    let mut source = json!({ "digest": { "gitCommit": commit } });
    if let Some(uri) = uri {
        source["uri"] = json!(uri);
    }
    if let Commit::Dirty(files) = state {
        source["annotations"] = json!({ "uncommittedFiles": files });
    }
    Ok(json!({
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": { "name": name, "version": version },
            "internalParameters": {},
            "resolvedDependencies": [source],
        },
        "runDetails": {
            "builder": { "id": builder, "version": { "mesh": crate::cli::VERSION } },
            "metadata": { "finishedOn": created_at },
        },
    }))
}

/// A remote as SPDX writes download locations: `git+https://host/path`. Names and passwords are left out.
fn source_uri(remote: &str) -> String {
    if let Some((scheme, rest)) = remote.split_once("://") {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = authority.rsplit('@').next().unwrap_or_default();
        return format!("git+{scheme}://{host}/{path}");
    }
    match remote.split_once(':') {
        // As scp writes it: user@host:path.
        Some((host, path)) if !host.contains('/') => {
            format!(
                "git+ssh://{}/{}",
                host.rsplit('@').next().unwrap_or_default(),
                path.trim_start_matches('/')
            )
        }
        _ => format!("git+file://{remote}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_is_named_without_its_secrets() {
        for (remote, expected) in [
            ("https://github.com/acme/billing.git", "git+https://github.com/acme/billing.git"),
            ("https://ada:s3cret@github.com/acme/billing", "git+https://github.com/acme/billing"),
            ("https://ada:p@ss@github.com/acme/billing", "git+https://github.com/acme/billing"),
            ("ssh://git@host.example:2222/a/b", "git+ssh://host.example:2222/a/b"),
            ("git@github.com:acme/billing.git", "git+ssh://github.com/acme/billing.git"),
            ("/srv/git/billing", "git+file:///srv/git/billing"),
        ] {
            assert_eq!(source_uri(remote), expected);
        }
    }

    #[test]
    fn a_builder_is_a_uri() {
        assert!(builder("https://ci.example.com/1").is_ok() && builder("urn:ci:1").is_ok());
        assert!(builder("ci").is_err() && builder("").is_err() && builder("a b:c").is_err());
    }
}
