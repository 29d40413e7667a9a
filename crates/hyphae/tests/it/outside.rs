//! Nothing outside the mesh is ever contacted.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::{Node, ask, introduce};

/// The inodes of this process's sockets.
fn inodes() -> BTreeSet<String> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let sockets = targets
        .filter_map(|target| target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned));
    sockets.collect()
}

/// Local port and remote address of this process's sockets in a table of /proc/self/net.
fn sockets(table: &str) -> Vec<(u16, String)> {
    let ours = inodes();
    let text = std::fs::read_to_string(format!("/proc/self/net/{table}")).unwrap_or_default();
    let rows = text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows = rows.filter(|row| row.get(9).is_some_and(|inode| ours.contains(*inode)));
    rows.map(|row| {
        let port = row[1].rsplit(':').next().unwrap();
        (u16::from_str_radix(port, 16).unwrap(), row[2].to_owned())
    })
    .collect()
}

/// The UDP ports that this process has.
pub fn udp_ports() -> BTreeSet<u16> {
    sockets("udp").into_iter().chain(sockets("udp6")).map(|(port, _)| port).collect()
}

/// In a process of its own, where no other test has sockets.
#[test]
fn an_overlay_has_the_sockets_it_was_told_to_have_and_no_other() {
    let name = "outside::alone";
    let this = std::env::current_exe().unwrap();
    let output =
        std::process::Command::new(this).args(["--exact", name, "--ignored", "--nocapture"]).output();
    let output = output.unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "run by the test above, alone in its process"]
fn alone() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let both = ["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
        let (a, b) = (Node::new(1).listen(&both).start().await, Node::new(2).listen(&both).start().await);
        introduce(&a, &b);
        let listening: BTreeSet<u16> = a.addresses().iter().chain(b.addresses()).map(|a| a.port()).collect();
        let end = std::time::Instant::now() + Duration::from_secs(2);
        while std::time::Instant::now() < end {
            ask(&a, b.key(), "hi").await.unwrap();
            assert_eq!(udp_ports(), listening);
            assert!(sockets("tcp").is_empty() && sockets("tcp6").is_empty());
            let connected = sockets("udp").into_iter().chain(sockets("udp6"));
            let connected: Vec<_> =
                connected.filter(|(_, remote)| remote.bytes().any(|b| !b"0:".contains(&b))).collect();
            assert!(connected.is_empty(), "{connected:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}
