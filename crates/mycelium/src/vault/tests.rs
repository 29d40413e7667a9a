use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream as Socket};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::mpsc;

use soul::Label;
use types::{MeshId, SettingName};

use super::*;

mod real;

struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Self { dir: tempfile::tempdir().unwrap() };
        fixture.write("token", "s.token\n", 0o600);
        fixture
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.dir.path().join(name);
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(mode).open(&path);
        file.unwrap().write_all(text.as_bytes()).unwrap();
        path
    }

    fn open(&self, settings: Value) -> Result<Option<Vault>, String> {
        self.write("vault.json", &settings.to_string(), 0o600);
        Vault::open(&Paths::under(self.dir.path()).unwrap()).map_err(|error| error.to_string())
    }

    fn settings(&self, address: &str) -> Value {
        json!({ "address": address, "key": "mesh", "token_file": self.dir.path().join("token") })
    }

    fn vault(&self, address: &str) -> Vault {
        self.open(self.settings(address)).unwrap().unwrap()
    }
}

fn label() -> Label {
    Label { name: SettingName::new("db-password").unwrap(), version: 3, app_names: BTreeSet::new() }
}

fn mesh() -> MeshId {
    MeshId::from_bytes([7; 32])
}

fn sealed(vault: &Vault) -> Secret {
    soul::seal(mesh(), &label(), b"hunter2", &BTreeSet::new(), &[vault]).unwrap()
}

/// Answers each connection with `answer`, and tells what was asked.
fn stub(answer: impl Fn(&mut Socket) + Send + 'static) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (told, asked) = mpsc::channel();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { return };
            let mut reader = BufReader::new(socket.try_clone().unwrap());
            let (mut text, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).map_or(true, |bytes| bytes <= 2) {
                    break;
                }
                if let Some(bytes) = line.strip_prefix("content-length: ") {
                    length = bytes.trim().parse().unwrap();
                }
                text += &line;
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            text += &String::from_utf8(body).unwrap();
            if told.send(text).is_err() {
                return;
            }
            answer(&mut socket);
        }
    });
    (address, asked)
}

fn says(status: u16, body: &str) -> impl Fn(&mut Socket) + Send + use<> {
    let text = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    move |socket| drop(socket.write_all(text.as_bytes()))
}

fn unsealed(secret: &Secret, vault: &Vault) -> Result<Vec<u8>, String> {
    soul::unseal(mesh(), secret, &[vault]).map(|value| value.to_vec()).map_err(|error| error.to_string())
}

#[test]
fn it_is_asked_as_its_api_says_and_the_value_is_not_told_to_it() {
    let fixture = Fixture::new();
    let (address, asked) = stub(says(200, r#"{"data":{"ciphertext":"vault:v1:abc","key_version":1}}"#));
    let secret = sealed(&fixture.vault(&address));
    assert_eq!(secret.held["vault:transit/mesh"], "vault:v1:abc");
    assert!(secret.shares.is_empty());
    let text = asked.recv().unwrap();
    assert!(text.starts_with("POST /v1/transit/encrypt/mesh HTTP/1.1\r\n"), "{text}");
    assert!(text.contains("x-vault-token: s.token\r\n"), "{text}");
    let body: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let field = |name: &str| STANDARD.decode(body[name].as_str().unwrap()).unwrap();
    assert_eq!(field("plaintext").len(), 32);
    assert!(field("associated_data").ends_with(b"db-password"));
    assert!(!text.contains("hunter2") && !text.contains(&STANDARD.encode("hunter2")));
}

#[test]
fn what_it_refuses_is_said_in_its_words_and_cut_short() {
    let fixture = Fixture::new();
    let (address, _asked) = stub(says(403, r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#));
    let vault = fixture.vault(&address);
    let secret = Secret { held: [("vault:transit/mesh".into(), "vault:v1:abc".into())].into(), ..empty() };
    let said = unsealed(&secret, &vault).unwrap_err();
    assert!(said.contains("refused with status 403: 1 error occurred:* permission denied"), "{said}");
    let long = format!(r#"{{"errors":["{}"]}}"#, "x".repeat(5000));
    let (address, _asked) = stub(says(500, &long));
    assert!(unsealed(&secret, &fixture.vault(&address)).unwrap_err().len() < 500);
}

fn empty() -> Secret {
    soul::seal(mesh(), &label(), b"hunter2", &BTreeSet::new(), &[]).unwrap()
}

#[test]
fn answers_that_make_no_sense_are_refused() {
    let fixture = Fixture::new();
    let secret = Secret { held: [("vault:transit/mesh".into(), "vault:v1:abc".into())].into(), ..empty() };
    for (body, why) in [
        ("", "is not Vault's"),
        ("[]", "does not open"),
        (r#"{"data":{"plaintext":"AAAA"}}"#, "does not open"),
        (r#"{"data":{"plaintext":"!"}}"#, "does not open"),
        (r#"{"data":{}}"#, "does not open"),
    ] {
        let (address, _asked) = stub(says(200, body));
        let said = unsealed(&secret, &fixture.vault(&address)).unwrap_err();
        assert!(said.contains(why), "{body}: {said}");
    }
    let (address, _asked) = stub(says(200, &" ".repeat(MAX_ANSWER + 1)));
    let said = unsealed(&secret, &fixture.vault(&address)).unwrap_err();
    assert!(said.contains("broke off"), "{said}");
}

#[test]
fn one_that_never_answers_is_given_up() {
    let fixture = Fixture::new();
    // Accepted by the kernel, and never by anybody else.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let secret = Secret { held: [("vault:transit/mesh".into(), "vault:v1:abc".into())].into(), ..empty() };
    let vault = fixture.vault(&format!("http://{}", listener.local_addr().unwrap()));
    let said = unsealed(&secret, &vault).unwrap_err();
    assert!(said.contains("no answer within 10 s"), "{said}");
}

#[test]
fn a_token_that_others_may_read_is_not_used() {
    let fixture = Fixture::new();
    let vault = fixture.vault("http://127.0.0.1:1");
    std::fs::remove_file(fixture.dir.path().join("token")).unwrap();
    fixture.write("token", "s.token", 0o644);
    let refused = vault.wrap(&ContentKey::default(), b"").unwrap_err();
    assert!(refused.to_string().contains("others may read it; run: chmod 600"), "{refused}");
}

#[test]
fn settings_that_cannot_be_meant_are_refused_by_field() {
    let fixture = Fixture::new();
    assert!(Vault::open(&Paths::under(fixture.dir.path()).unwrap()).unwrap().is_none(), "there is no file");
    fixture.vault("https://vault.example:8200");
    fixture.vault("http://[::1]:8200");
    for (address, why) in [
        ("http://vault.example:8200", "without TLS everybody"),
        ("ftp://localhost", "neither https:// nor http://"),
        ("https://vault.example/v1", "it has a path"),
        ("vault.example", "neither https:// nor http://"),
    ] {
        let said = fixture.open(fixture.settings(address)).unwrap_err();
        assert!(said.contains(why), "{address}: {said}");
    }
    let mut settings = fixture.settings("https://vault.example");
    settings["key"] = "../sys".into();
    assert!(fixture.open(settings).unwrap_err().contains("key, mount"));
    let mut settings = fixture.settings("https://vault.example");
    settings["tokenfile"] = "x".into();
    assert!(fixture.open(settings).unwrap_err().contains("tokenfile"));
}

/// Whoever is on the way answers in Vault's place, but not with a certificate that is believed.
#[test]
fn over_tls_only_those_who_are_believed_are_asked() {
    let fixture = Fixture::new();
    let (address, asked) = stub(says(200, "{}"));
    let mut settings = fixture.settings(&address.replace("http://", "https://"));
    let authority = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    settings["ca_file"] = fixture.write("ca.pem", &authority.cert.pem(), 0o600).to_str().unwrap().into();
    let vault = fixture.open(settings).unwrap().unwrap();
    drop(asked);
    let refused = vault.wrap(&ContentKey::default(), b"").unwrap_err().to_string();
    assert!(refused.contains("failed to connect"), "{refused}");
}

proptest::proptest! {
    #[test]
    fn whatever_answers_is_understood_or_refused(status: u16, body: Vec<u8>) {
        let _ = understand(status, &body);
    }
}
