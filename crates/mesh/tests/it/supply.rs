//! What a spore says of itself: `mesh build --sbom --provenance`, and who believes it.

use std::process::Command;

use serde_json::Value;

use crate::support::{Place, Ran};

fn git(place: &Place, line: &str) {
    let mut git = Command::new("git");
    git.current_dir(place.work()).args(["-c", "user.name=a", "-c", "user.email=a@example.com"]);
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").args(line.split_whitespace());
    assert!(git.output().unwrap().status.success(), "git {line}");
}

/// A repository with a script of Python, its requirements and a commit.
fn repository() -> Place {
    let place = Place::new();
    place.write("requirements.txt", "flask==3.0.0\nrequests>=2\n");
    let manifest = std::fs::read_to_string(place.work().join("billing.json")).unwrap();
    place.write("billing.json", &manifest.replacen('{', "{ \"interpreter\": \"python3\",", 1));
    git(&place, "init -q");
    git(&place, "remote add origin https://ada:s3cret@example.com/acme/billing.git");
    git(&place, "add .");
    git(&place, "commit -q -m first");
    place
}

const BUILD: &str = "build -manifest billing.json -binary program -sbom -provenance -out ../out";
const SPORE: &str = "../out/billing-v0.1.0.spore";

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn it_says_what_it_is_made_of_and_where_it_comes_from() {
    let place = repository();
    place.mesh(BUILD).good();
    let bytes = || std::fs::read(place.work().join(SPORE)).unwrap();
    let first = bytes();
    place.mesh(BUILD).good();
    assert_eq!(first, bytes(), "the same inputs make the same bytes");
    let shown = place.mesh(&format!("inspect {SPORE}")).good().stdout;
    for expected in [
        "sbom       CycloneDX 1.6, 2 components",
        "source     git+https://example.com/acme/billing.git",
        "builder    https://mycelium.invalid/builders/mesh",
    ] {
        assert!(shown.contains(expected), "{shown}");
    }
    let said = json(&place.mesh(&format!("verify {SPORE} -json")).good());
    let source = &said["provenance"]["buildDefinition"]["resolvedDependencies"][0];
    assert_eq!(source["digest"]["gitCommit"].as_str().unwrap().len(), 40);
    assert!(source.get("annotations").is_none(), "{source}");
    place.write("more", "");
    place.mesh(BUILD).good();
    let said = json(&place.mesh(&format!("verify {SPORE} -json")).good());
    let source = &said["provenance"]["buildDefinition"]["resolvedDependencies"][0];
    assert_eq!(source["annotations"]["uncommittedFiles"], 1);
}

#[test]
fn a_given_sbom_is_checked_and_packed_as_it_is() {
    let place = Place::new();
    let line = "build -manifest billing.json -binary program -sbom sbom.json";
    let wrong = place.mesh(line).ended(2);
    assert!(wrong.stderr.contains("failed to read the SBOM sbom.json"), "{}", wrong.shown());
    place.write("sbom.json", r#"{ "bomFormat": "SPDX" }"#);
    let wrong = place.mesh(line).ended(2);
    assert!(
        wrong.stderr.contains("sbom.json is no CycloneDX SBOM in JSON: its \"bomFormat\""),
        "{}",
        wrong.shown()
    );
    place.write("sbom.json", r#"{ "bomFormat": "CycloneDX", "specVersion": "1.5", "components": [] }"#);
    place.mesh(line).good();
    let shown = place.mesh("inspect out/billing-v0.1.0.spore").good().stdout;
    assert!(shown.contains("sbom       CycloneDX 1.5, 0 components"), "{shown}");
}

#[test]
fn without_a_commit_there_is_no_provenance() {
    let place = Place::new();
    let ran = place.mesh("build -manifest billing.json -binary program -provenance").ended(2);
    assert!(ran.stderr.contains("has no git commit to name as its source"), "{}", ran.shown());
    let ran = place.mesh("build -manifest billing.json -binary program -provenance -builder ci").ended(2);
    assert!(ran.stderr.contains("a builder is a URI"), "{}", ran.shown());
}

#[test]
fn a_word_about_another_program_is_refused_everywhere() {
    let place = repository();
    place.mesh(BUILD).good();
    let whole = std::fs::read(place.work().join(SPORE)).unwrap();
    let (start, end) = (b"{\"payload\":\"", b"\"}]}\n");
    let from = whole.windows(start.len()).position(|w| w == start).unwrap();
    let to = from + whole[from..].windows(end.len()).position(|w| w == end).unwrap() + end.len();
    std::fs::create_dir_all(place.work().join("copied/attest")).unwrap();
    std::fs::write(place.work().join("copied/attest/provenance.dsse.json"), &whole[from..to]).unwrap();
    place.write("program", "#!/bin/sh\nexit 7\n");
    place.mesh("build -manifest billing.json -binary program -files copied -out ../out").good();
    for line in ["inspect", "verify", "publish", "deploy"] {
        let ran = place.mesh(&format!("{line} {SPORE}")).ended(if line == "deploy" { 3 } else { 4 });
        let refused = ran.stderr.contains("files/attest/provenance.dsse.json: it is about ");
        assert!(refused || line == "deploy", "{}", ran.shown());
    }
    let twice = place.mesh(&format!("{BUILD} -files copied")).ended(1);
    assert!(
        twice.stderr.contains("attest/provenance.dsse.json\" under files/: it is given twice"),
        "{}",
        twice.shown()
    );
}

/// What `lichen`'s tests made: a root, a publisher's key, and a bundle in which somebody vouches for it.
fn made(name: &str) -> String {
    format!("{}/../lichen/tests/it/data/made/{name}", env!("CARGO_MANIFEST_DIR"))
}

const IDENTITY: &str = "-identity https://ci.example/acme/billing -issuer https://ci.example";

/// A spore of the publisher's that somebody may vouch for, with this bundle or none.
fn vouched_for(place: &Place, bundle: Option<&str>) {
    use std::os::unix::fs::PermissionsExt as _;
    let key = place.write("publisher.key", &std::fs::read_to_string(made("publisher.key")).unwrap());
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let binary = crate::support::workload("billing");
    let bundle = bundle.map(|bundle| format!("-sigstore-bundle {bundle}")).unwrap_or_default();
    let line =
        format!("build -manifest billing.json -binary {} -key ./publisher.key {bundle}", binary.display());
    place.mesh(&line).good();
}

#[test]
fn a_publisher_whom_a_trusted_identity_vouches_for_is_trusted() {
    let place = Place::new();
    let _mesh = place.start("-nodes 1");
    let spore = "out/billing-v0.1.0.spore";
    vouched_for(&place, Some(&made("publisher.sigstore.json")));
    let refused = place.mesh(&format!("deploy {spore}")).ended(4);
    assert!(refused.stderr.contains("whom nobody here trusts"), "{}", refused.shown());
    assert!(refused.stderr.contains("nobody here may vouch for publishers"), "{}", refused.shown());
    let add = format!("trust identity add ci {IDENTITY} -trust-root {}", made("root.json"));
    let since = place.last_event();
    place.mesh(&add).good();
    place.event(since, "what waited starts", |event| event["kind"] == "endpoint-register");
    assert!(place.mesh(&add).good().stderr.contains("already"));
    assert_eq!(place.json("trust identity list")[0]["issuer"], "https://ci.example");
    // What vouches for one key says nothing of another.
    let binary = crate::support::workload("frontend");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/frontend.json");
    place.mesh("keys new mallory").good();
    let bundle = made("publisher.sigstore.json");
    let line = format!(
        "build -manifest {manifest} -binary {} -key mallory -sigstore-bundle {bundle}",
        binary.display()
    );
    let spore = place.mesh(&line).good().stdout.trim().to_owned();
    let refused = place.mesh(&format!("deploy {spore}")).ended(4);
    assert!(refused.stderr.contains("for ci: the Sigstore bundle does not hold"), "{}", refused.shown());
}

#[test]
fn a_bundle_over_a_spore_is_checked_with_it() {
    let place = Place::new();
    vouched_for(&place, None);
    let (root, bundle) = (made("root.json"), made("publisher.sigstore.json"));
    let line = format!(
        "verify out/billing-v0.1.0.spore -any-publisher -sigstore-bundle {bundle} -trust-root {root} {IDENTITY}"
    );
    // It is a bundle over another file.
    let refused = place.mesh(&line).ended(4);
    assert!(refused.stderr.contains("the Sigstore bundle does not hold"), "{}", refused.shown());
    place.mesh(&format!("verify out/billing-v0.1.0.spore -sigstore-bundle {bundle}")).ended(2);
    let wrong = place.mesh(&line.replace(&root, &bundle)).ended(2);
    assert!(wrong.stderr.contains("the trusted root can't be used"), "{}", wrong.shown());
}
