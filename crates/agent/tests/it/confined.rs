//! Workloads that are confined, as their manifest asks for it.

use genome::{Release, ReplicaState};
use serde_json::json;

use crate::rig::Rig;

/// Whether this machine can't confine anything: said loudly, for then nothing is tested.
fn cannot() -> bool {
    let why = membrane::Layers::find().confine(membrane::By::Both).err();
    why.iter().for_each(|why| println!("SKIPPED: {why}"));
    why.is_some()
}

/// A job of a script, confined by a profile.
fn job(rig: &Rig, profile: &str, script: &str) -> Release {
    let path = rig.dir.path().join("script");
    std::fs::write(&path, script).unwrap();
    let document = json!({
        "kind": "Spore", "name": "script", "version": "v1", "command": "script.sh", "args": [],
        "env": {}, "provides": [], "workload": "job", "interpreter": "bash -u",
        "nutrients": { "cpu_milli": 1, "memory_mb": 64 }, "slo": { "p99_budget_ms": 300 },
        "security": { "lsm_profile": profile, "read_only_fs": false },
    });
    let release = rig.pack(&document, &path, &*rig.publisher);
    rig.plan("script", &release, 1);
    release
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_job_has_its_folder_and_nothing_else() {
    if cannot() {
        return;
    }
    let rig = Rig::new(1).await;
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let secret = rig.dir.path().join("secret");
    std::fs::write(&secret, "x").unwrap();
    let script = format!(
        "cd && echo own > file && read own < file && echo $own
         mktemp > /dev/null && echo temporary
         [[ $HOME = $PWD ]] && echo home
         (read x < {0}) 2> /dev/null || echo no secret
         (echo x > {0}.new) 2> /dev/null
         (exec 3<> /dev/tcp/127.0.0.1/{port}) 2> /dev/null || echo no connection
         (exec 3<> /dev/udp/127.0.0.1/{port}) 2> /dev/null || echo no packet
         (kill -0 {1}) 2> /dev/null || echo no signal",
        secret.display(),
        std::process::id(),
    );
    job(&rig, "strict", &script);
    let done = rig.sees("script", ReplicaState::Completed).await;
    let logs = rig.dir.path().join("logs/node-1").join(done.replica.as_str());
    let said: Vec<String> = membrane::tail(&logs, 20).unwrap().into_iter().map(|line| line.text).collect();
    let none = ["no secret", "no connection", "no packet", "no signal"];
    assert_eq!(said, [&["own", "temporary", "home"], none.as_slice()].concat());
    assert!(!secret.with_extension("new").exists());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_service_answers() {
    if cannot() {
        return;
    }
    let rig = Rig::new(1).await;
    let release = rig.publish("billing", "v1", |document| {
        document["security"] = json!({ "lsm_profile": "strict", "read_only_fs": true });
    });
    rig.plan("billing", &release, 2);
    rig.serves("billing", &release, 2).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_nobody_knows_is_refused() {
    let rig = Rig::new(1).await;
    job(&rig, "as-my-uncle-likes-it", "exit 0");
    let refused = rig.sees("script", ReplicaState::Refused).await;
    assert!(refused.message.contains("knows no profile \"as-my-uncle-likes-it\""), "{}", refused.message);
    rig.stop().await;
}
