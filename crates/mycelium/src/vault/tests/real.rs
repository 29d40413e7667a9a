//! Against a real Vault (or OpenBao), where `vault` or `bao` is in the `PATH`: with TLS, and a token that may do no
//! more than the two requests.

use std::process::{Child, Command, Stdio};

use super::*;

const ROOT: &str = "root-of-the-test";
const POLICY: &str = r#"
path "transit/encrypt/mesh" { capabilities = ["update"] }
path "transit/decrypt/mesh" { capabilities = ["update"] }
"#;

struct Server {
    child: Child,
    program: &'static str,
    address: String,
    certificate: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(fixture: &Fixture) -> Option<Self> {
        let runs = |program: &&str| {
            let mut version = Command::new(program);
            let version = version.arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            version.is_ok_and(|status| status.success())
        };
        let program = ["vault", "bao"].into_iter().find(runs)?;
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
        let certificate = fixture.write("cert.pem", &made.cert.pem(), 0o600);
        let private = fixture.write("key.pem", &made.signing_key.serialize_pem(), 0o600);
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (address, plain) = (free(), free());
        let config = format!(
            "disable_mlock = true\nlistener \"tcp\" {{\n address = \"{address}\"\n tls_cert_file = {certificate:?}\n \
             tls_key_file = {private:?}\n}}\n"
        );
        let config = fixture.write("server.hcl", &config, 0o600);
        let mut child = Command::new(program)
            .args(["server", "-dev", "-dev-no-store-token", &format!("-dev-root-token-id={ROOT}")])
            .arg(format!("-dev-listen-address={plain}"))
            .arg(format!("-config={}", config.display()))
            .env("HOME", fixture.dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let server = Self { child, program, address: format!("https://{address}"), certificate };
        // It says so once it is unsealed.
        assert!(said.any(|line| line.starts_with("Root Token:")), "{program} should start");
        std::thread::spawn(move || said.for_each(drop));
        server.run(&["secrets", "enable", "transit"]).unwrap();
        server.run(&["write", "-f", "transit/keys/mesh"]).unwrap();
        let policy = fixture.write("policy.hcl", POLICY, 0o600);
        server.run(&["policy", "write", "mesh", policy.to_str().unwrap()]).unwrap();
        Some(server)
    }

    fn run(&self, args: &[&str]) -> Result<String, String> {
        let name = |what: &str| format!("{}_{what}", if self.program == "bao" { "BAO" } else { "VAULT" });
        let output = Command::new(self.program)
            .args(args)
            .env(name("ADDR"), &self.address)
            .env(name("CACERT"), &self.certificate)
            .env(name("TOKEN"), ROOT)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }
}

#[test]
fn a_real_vault_keeps_the_key() {
    let fixture = Fixture::new();
    let Some(server) = Server::start(&fixture) else {
        eprintln!(
            "SKIPPED: neither vault nor bao is in the PATH; the exchange with a real one was not tested"
        );
        return;
    };
    let token = server.run(&["token", "create", "-policy=mesh", "-field=token"]).unwrap();
    fixture.write("token", &token, 0o600);
    let mut settings = fixture.settings(&server.address);
    settings["ca_file"] = server.certificate.to_str().unwrap().into();
    let vault = fixture.open(settings).unwrap().unwrap();

    let secret = sealed(&vault);
    assert!(secret.held["vault:transit/mesh"].starts_with("vault:v1:"), "{secret:?}");
    assert_eq!(unsealed(&secret, &vault).unwrap(), b"hunter2");
    let moved = Secret { version: secret.version + 1, ..secret.clone() };
    unsealed(&moved, &vault).unwrap_err();

    server.run(&["write", "-f", "transit/keys/mesh/rotate"]).unwrap();
    assert_eq!(
        unsealed(&secret, &vault).unwrap(),
        b"hunter2",
        "what was wrapped before a rotation still opens"
    );
    assert!(sealed(&vault).held["vault:transit/mesh"].starts_with("vault:v2:"));

    server.run(&["token", "revoke", token.trim()]).unwrap();
    let refused = unsealed(&secret, &vault).unwrap_err();
    assert!(refused.contains("status 403"), "{refused}");
}
