//! `mesh run` with `-tls`, `-tls-cert` and `-tls-key`: what clients are shown, and what is said of files that don't do.

use std::os::unix::fs::PermissionsExt as _;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::Signal;

use crate::support::{Place, Running, ask, certificates, session};

const FILES: &str = "-tls-cert edge.crt -tls-key edge.key";

/// `edge.crt` (the leaf, then who issued it) and `edge.key` in the working folder, and `root.crt` to trust them by.
fn issue(place: &Place) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["mesh.example".to_owned()]).unwrap();
    let leaf = params.signed_by(&key, &root).unwrap();
    place.write("root.crt", &root.pem());
    place.write("edge.crt", &format!("{}{}", leaf.pem(), root.pem()));
    place.write("edge.key", &key.serialize_pem());
}

/// Asserts that the mesh answers over both versions of HTTP, showing `edge.crt` as it is now.
fn shows_the_files(place: &Place, mesh: &Running<'_>) {
    for alpn in ["h2", "http/1.1"] {
        let seen = ask(&mesh.url, "mesh.example", &place.work().join("root.crt"), &[alpn], "/billing/hello")
            .unwrap();
        assert_eq!((seen.status, seen.alpn.as_str()), (200, alpn), "{seen:?}");
        assert_eq!(seen.chain, certificates(&place.work().join("edge.crt")));
    }
}

#[test]
fn a_self_made_certificate_holds_for_this_machine_and_is_kept() {
    let place = Place::new();
    let mut mesh = place.start("-tls");
    place.mesh(&format!("deploy {}", place.billing("v0.1.0"))).good();
    let tls = place.state().join("tls");
    let trusted = tls.join("development.crt");
    let before = certificates(&trusted);
    for name in ["localhost", "127.0.0.1", "::1"] {
        for (offered, agreed) in [(&["h2", "http/1.1"][..], "h2"), (&["http/1.1"], "http/1.1"), (&[], "")] {
            let seen = ask(&mesh.url, name, &trusted, offered, "/billing/hello").unwrap();
            assert_eq!((seen.status, seen.alpn.as_str()), (200, agreed), "{seen:?}");
            assert!(seen.body.contains("from"), "{seen:?}");
            assert_eq!(seen.chain, before);
        }
    }
    ask(&mesh.url, "elsewhere.example", &trusted, &["h2"], "/").unwrap_err();
    let mode = tls.join("development.key").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else may read the key");
    mesh.signal(Signal::TERM);
    assert_eq!(mesh.ended(), 0, "{}", place.log());
    let again = place.start("-tls");
    let seen = ask(&again.url, "localhost", &trusted, &["h2"], "/billing/hello").unwrap();
    assert_eq!(seen.chain, before, "who trusted it trusts it still");
}

#[test]
fn the_given_files_are_what_clients_see_and_an_upgrade_takes_renewed_ones() {
    let place = Place::new();
    issue(&place);
    let mut mesh = place.start(FILES);
    place.mesh(&format!("deploy {}", place.billing("v0.1.0"))).good();
    shows_the_files(&place, &mesh);
    let before = certificates(&place.work().join("edge.crt"));
    issue(&place);
    assert_ne!(certificates(&place.work().join("edge.crt")), before);
    place.mesh("upgrade").good();
    assert_eq!(mesh.ended(), 0, "{}", place.log());
    shows_the_files(&place, &mesh);
    place.mesh("down").good();
    place.nothing_runs();
}

#[test]
fn an_upgrade_onto_broken_files_leaves_the_old_mesh_with_the_old_ones() {
    let place = Place::new();
    issue(&place);
    let mesh = place.start(FILES);
    place.mesh(&format!("deploy {}", place.billing("v0.1.0"))).good();
    place.write("edge.key", "nonsense");
    let ran = place.mesh("upgrade").ended(2);
    assert!(ran.stderr.contains("edge.key"), "{}", ran.shown());
    let events = place.mesh("events").good();
    assert!(!events.stdout.contains("hands over"), "it was not even asked to: {}", events.shown());
    assert_eq!(place.json("status")["pid"], mesh.child.id());
    shows_the_files(&place, &mesh);
}

#[test]
fn files_that_do_not_do_are_named_and_nothing_is_left() {
    let place = Place::new();
    issue(&place);
    place.write("garbage", "nonsense");
    place.write("other.key", &KeyPair::generate().unwrap().serialize_pem());
    let run = |certificate: &str, key: &str| {
        let ran = place.mesh(&format!("run -edge 127.0.0.1:0 -tls-cert {certificate} -tls-key {key}"));
        place.nothing_runs();
        ran.ended(2)
    };
    insta::assert_snapshot!(session(&[
        run("nothing.crt", "edge.key"),
        run("edge.crt", "nothing.key"),
        run("garbage", "edge.key"),
        run("edge.crt", "garbage"),
        run("edge.key", "edge.crt"),
        run("edge.crt", "other.key"),
        place.mesh("run -tls -tls-cert edge.crt -tls-key edge.key").ended(2),
    ]));
    // None of it is in the way of one that does.
    drop(place.start(FILES));
}

#[test]
fn a_broken_self_made_certificate_is_named() {
    let place = Place::new();
    drop(place.start("-tls"));
    std::fs::write(place.state().join("tls/development.crt"), "nonsense").unwrap();
    let ran = place.mesh("run -edge 127.0.0.1:0 -tls").ended(1);
    assert!(ran.stderr.contains("tls/development.crt") && ran.stderr.contains("hint: "), "{}", ran.shown());
    place.nothing_runs();
}
