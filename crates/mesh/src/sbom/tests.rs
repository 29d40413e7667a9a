use proptest::prelude::*;
use serde_json::Value;
use spore::attest::Sbom;

use super::*;

fn purls(found: &Found) -> Vec<&str> {
    found.libraries.iter().map(|library| library.purl.as_str()).collect()
}

const LOCK: &str = r#"
version = 4
[[package]]
name = "billing"
version = "0.1.0"
dependencies = ["hyper", "rand 0.9.0", "types"]
[[package]]
name = "types"
version = "0.1.0"
[[package]]
name = "other"
version = "0.1.0"
dependencies = ["rand 0.8.5"]
[[package]]
name = "hyper"
version = "1.12.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
dependencies = ["rand 0.9.0 (registry+https://github.com/rust-lang/crates.io-index)"]
[[package]]
name = "rand"
version = "0.9.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
[[package]]
name = "rand"
version = "0.8.5"
source = "registry+https://github.com/rust-lang/crates.io-index"
"#;

#[test]
fn of_a_workspace_what_one_program_uses() {
    let found = cargo::read(LOCK, &["unknown", "billing"]).unwrap();
    assert_eq!(purls(&found), ["pkg:cargo/types@0.1.0", "pkg:cargo/hyper@1.12.0", "pkg:cargo/rand@0.9.0"]);
    assert_eq!(found.libraries[1].hash.as_ref().unwrap().0, "SHA-256");
    assert!(found.covers.starts_with("what the package billing leads to"));
    let all = cargo::read(LOCK, &["unknown"]).unwrap();
    assert_eq!(all.libraries.len(), 6);
    assert!(all.covers.contains("whether this program uses it or not"));
    let torn = LOCK.replace("name = \"types\"", "name = \"gone\"");
    assert!(cargo::read(&torn, &["billing"]).unwrap_err().contains("\"types\", which is not in it"));
    assert!(cargo::read("a = [", &[]).is_err());
}

#[test]
fn npm_without_what_development_needs() {
    let sum = "z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==";
    let lock = format!(
        r#"{{"lockfileVersion":3,"packages":{{
            "":{{"name":"app","version":"1.0.0"}},
            "packages/own":{{"version":"1.0.0"}},
            "node_modules/own":{{"link":true}},
            "node_modules/@scope/a":{{"version":"1.2.3","integrity":"sha512-{sum}"}},
            "node_modules/b/node_modules/c":{{"version":"2.0.0"}},
            "node_modules/jest":{{"version":"9.0.0","dev":true}}}}}}"#
    );
    let found = npm::read(&lock).unwrap();
    assert_eq!(purls(&found), ["pkg:npm/%40scope/a@1.2.3", "pkg:npm/c@2.0.0"]);
    let (algorithm, hex) = found.libraries[0].hash.clone().unwrap();
    assert!(algorithm == "SHA-512" && hex.starts_with("cf83e1357eefb8bdf1542850d66d8007"), "{hex}");
    assert!(npm::read(r#"{"lockfileVersion":1,"dependencies":{}}"#).unwrap_err().contains("npm 7"));
}

#[test]
fn python_says_what_is_pinned_and_what_is_not() {
    let sum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let text = format!(
        "# made by hand\n-i https://example.com\nFlask_Login[x]==2.0.1 ; python_version > '3'  # why\n\
         requests == 2.31.0 \\\n    --hash=sha256:{sum}\nurllib3>=1.21,<3\n\n"
    );
    let found = python::read(&text).unwrap();
    assert_eq!(purls(&found), ["pkg:pypi/flask-login@2.0.1", "pkg:pypi/requests@2.31.0", "pkg:pypi/urllib3"]);
    assert_eq!(found.libraries[1].hash, Some(("SHA-256", sum.to_owned())));
    assert_eq!(found.covers, "what it names: 1 of 3 lines pin no version");
    assert!(python::read("-r more.txt\n").unwrap_err().contains("pip freeze"));
    assert!(python::read("==1\n").is_err());
}

#[test]
fn maven_says_what_the_project_names() {
    let pom = "<?xml version=\"1.0\"?><project xmlns=\"x\"><groupId>g</groupId><version>1</version>\
        <properties><jackson.version>2.17.0</jackson.version></properties><!-- <dependency> -->\
        <dependencyManagement><dependencies><dependency><groupId>no</groupId><artifactId>no</artifactId>\
        </dependency></dependencies></dependencyManagement><dependencies>\
        <dependency><groupId>com.fasterxml</groupId><artifactId>jackson</artifactId>\
        <version>${jackson.version}</version></dependency>\
        <dependency><groupId>${project.groupId}</groupId><artifactId>own</artifactId><version>${who.knows}</version>\
        <exclusions><exclusion><groupId>other</groupId></exclusion></exclusions></dependency>\
        <dependency><groupId>junit</groupId><artifactId>junit</artifactId><scope>test</scope></dependency>\
        </dependencies></project>";
    let found = maven::read(pom).unwrap();
    assert_eq!(purls(&found), ["pkg:maven/com.fasterxml/jackson@2.17.0", "pkg:maven/g/own"]);
    assert!(maven::read("<project><a></project>").unwrap_err().contains("not begun"));
    assert!(maven::read("<project>").unwrap_err().contains("doesn't end"));
}

/// A Go program's account of itself, as its linker writes it.
fn account(modules: &str) -> Vec<u8> {
    let text = |text: &[u8]| {
        let mut out = Vec::new();
        let mut length = text.len();
        while length >= 0x80 {
            out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        out.push(u8::try_from(length).unwrap());
        out.extend_from_slice(text);
        out
    };
    let mut bytes = b"\xff Go buildinf:\x08\x02".to_vec();
    bytes.resize(32, 0);
    bytes.extend(text(b"go1.22.1"));
    bytes.extend(text(&[&[b'x'; 16], modules.as_bytes(), &[b'y'; 16]].concat()));
    bytes
}

#[test]
fn a_go_program_says_itself_what_it_is_made_of() {
    let modules = "path\texample.com/app\nmod\texample.com/app\t(devel)\t\n\
        dep\tgolang.org/x/sys\tv0.1.0\th1:x=\ndep\texample.com/old\tv1.0.0\n=>\texample.com/new\tv1.0.1\th1:y=\n\
        build\t-compiler=gc\n";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app");
    // Across the border of what is read at once, after one that is none.
    for before in [0, (1 << 20) - 5, (3 << 20) - 40] {
        let mut bytes = vec![0; before];
        if before > 100 {
            bytes[50..64].copy_from_slice(b"\xff Go buildinf:");
        }
        bytes.extend(account(modules));
        bytes.extend([7; 100]);
        std::fs::write(&path, bytes).unwrap();
        let found = go::in_binary(&path).unwrap().unwrap();
        assert_eq!(
            purls(&found),
            ["pkg:golang/golang.org/x/sys@v0.1.0", "pkg:golang/example.com/new@v1.0.1"]
        );
        assert!(found.covers.contains("compiled by gc"));
    }
    std::fs::write(&path, b"#!/bin/sh\n").unwrap();
    assert!(go::in_binary(&path).unwrap().is_none());
    let sum =
        "example.com/a v1.0.0 h1:x=\nexample.com/a v1.0.0/go.mod h1:y=\nexample.com/b v1.0.0/go.mod h1:y=\n";
    assert_eq!(purls(&go::read_sum(sum).unwrap()), ["pkg:golang/example.com/a@v1.0.0"]);
    assert!(go::read_sum("a b\n").is_err());
}

#[test]
fn the_same_inputs_are_the_same_bytes_and_a_document_that_is_one() {
    let template = Template::from_slice(include_bytes!("../../../../examples/billing.json")).unwrap();
    let files = [("a.txt".to_owned(), Digest::of(b"a"))];
    let found = cargo::read(LOCK, &["billing"]).unwrap();
    let made = |at: u64| {
        let created_at = Timestamp::from_secs(at);
        document(&About { template: &template, binary: Digest::of(b"b"), files: &files, created_at }, &found)
            .unwrap()
    };
    assert_eq!(made(7), made(7));
    let read = Sbom::read(&made(7)).unwrap();
    let names: Vec<_> = read.components.iter().map(|of| of.name.as_str()).collect();
    assert_eq!(names, ["hyper", "rand", "types", "a.txt"]);
    let serial = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap()["serialNumber"].clone();
    assert_ne!(serial(&made(7)), serial(&made(8)));
    let text = serial(&made(7)).as_str().unwrap().to_owned();
    assert!(text.starts_with("urn:uuid:") && text.len() == 45 && text.as_bytes()[23] == b'8', "{text}");
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_fall_over(text in "[<>/a-z!?\\-\\$\\{\\}\\[\\]=\"#\\\\ \\n\\t;:@.,0-9]{0,200}") {
        let _ = (cargo::read(&text, &["a"]), npm::read(&text), python::read(&text), maven::read(&text));
        let _ = go::read_sum(&text);
    }

    #[test]
    fn no_cut_or_altered_account_makes_the_reader_fall_over(at in 0usize..90, to in any::<u8>(), end in 0usize..120) {
        let mut bytes = account("path\tx\ndep\ta\tv1\n");
        let at = at % bytes.len();
        bytes[at] = to;
        bytes.truncate(end);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app");
        std::fs::write(&path, bytes).unwrap();
        let _ = go::in_binary(&path);
    }
}
