//! `mesh` as a service: it says when it serves and who does, and its unit is one that systemd understands.

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::Place;

/// Takes what is said to a service manager.
struct Manager(UnixDatagram, std::path::PathBuf);

impl Manager {
    fn in_place(place: &Place) -> Self {
        let path = place.work().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(socket, path)
    }

    /// Who serves, as it was said.
    fn hears(&self) -> u32 {
        let mut said = [0; 256];
        let read = self.0.recv(&mut said).unwrap();
        let said = std::str::from_utf8(&said[..read]).unwrap();
        assert!(said.lines().any(|line| line == "READY=1"), "{said}");
        said.lines().find_map(|line| line.strip_prefix("MAINPID=")).unwrap().parse().unwrap()
    }
}

#[test]
fn a_service_manager_is_told_who_serves_before_the_one_before_ends() {
    let place = Place::new();
    let manager = Manager::in_place(&place);
    let mut child = place
        .command()
        .args(["run", "-edge", "127.0.0.1:0"])
        .env("NOTIFY_SOCKET", &manager.1)
        .stdout(Stdio::null())
        .stderr(place.append("run.log"))
        .spawn()
        .unwrap();
    assert_eq!(manager.hears(), child.id());
    assert_eq!(place.json("status")["pid"], child.id());
    // By hand it would be taken for the end of the service.
    let refused = place.mesh("upgrade").ended(1);
    assert!(refused.stderr.contains("hint: `systemctl reload"), "{}", refused.shown());
    place.run("upgrade", place.command().arg("upgrade").env("NOTIFY_SOCKET", &manager.1)).good();
    let successor = manager.hears();
    assert_eq!(place.json("status")["pid"], successor);
    assert_ne!(successor, child.id());
    assert!(child.wait().unwrap().success());
    place.mesh("down").good();
    place.nothing_runs();
}

#[test]
fn the_unit_is_one_that_systemd_understands() {
    let place = Place::new();
    let unit = place.mesh("node unit --edge :80").good().stdout;
    let path = place.write("mesh.service", &unit);
    let verified = Command::new("systemd-analyze").args(["--man=no", "verify"]).arg(&path).output();
    let Ok(output) = verified else { return };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // What it says of the machine's own units, or that none run here, is none of ours.
    // An older one passes over what only newer ones know.
    let newer = |line: &&str| line.contains("Unknown key 'DelegateSubgroup'");
    let ours: Vec<_> = said.lines().filter(|line| line.contains("mesh.service") && !newer(line)).collect();
    assert!(ours.is_empty(), "{ours:?}\n{unit}");
}
