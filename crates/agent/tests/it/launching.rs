//! Launching real processes: readiness, refusals, restarts, jobs.

use genome::ReplicaState::{Backoff, Completed, Pulling, Ready, Refused};
use genome::{Exit, ReplicaState};
use telemetry::EventKind;
use types::{Signer as _, Workload};

use crate::rig::{Rig, app};

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_becomes_processes_that_answer_and_stopping_leaves_nothing() {
    let rig = Rig::new(2).await;
    let release = rig.service("billing", "v1");
    rig.plan("billing", &release, 4);
    let endpoints = rig.serves("billing", &release, 4).await;
    for node in ["node-1", "node-2"] {
        assert_eq!(endpoints.iter().filter(|endpoint| endpoint.node_id.as_str() == node).count(), 2);
    }
    for turn in 0..4 {
        assert!(rig.requests.get("billing", "/hello", turn).unwrap().starts_with("v1 billing-"));
    }
    for kind in [EventKind::LaunchStart, EventKind::HealthOk, EventKind::EndpointRegister] {
        assert_eq!(rig.count(kind), 4, "{kind:?}");
    }
    assert_eq!(rig.messages(EventKind::PlanReceived), ["plan 1: 4 of billing v1", "plan 1: 4 of billing v1"]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_publisher_is_refused_until_it_is_trusted() {
    let rig = Rig::new(1).await;
    let release = rig.service("billing", "v1");
    let key = rig.trust.list().unwrap()[0].public_key;
    rig.trust.remove(&key).unwrap();
    rig.plan("billing", &release, 1);
    let refused = rig.sees("billing", Refused).await;
    assert!(refused.message.contains(&key.fingerprint().to_string()), "{}", refused.message);
    assert!(refused.message.ends_with(&format!("mesh trust add {key}")), "{}", refused.message);
    assert_eq!(rig.count(EventKind::SporeRefused), 1);
    rig.trust.add(key, "now we do", types::Timestamp::from_secs(1)).unwrap();
    rig.serves("billing", &release, 1).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replica_comes_back_at_once_under_its_name() {
    let rig = Rig::new(1).await;
    let release = rig.service("billing", "v1");
    rig.plan("billing", &release, 1);
    let first = rig.serves("billing", &release, 1).await.remove(0);
    kill(first.pid.unwrap());
    let second = rig
        .until("a restart", |view| {
            view.endpoints().find(|endpoint| endpoint.state == Ready && endpoint.pid != first.pid).cloned()
        })
        .await;
    assert_eq!((&second.replica, second.restarts), (&first.replica, 1));
    assert!(rig.messages(EventKind::ProcessExit)[0].starts_with("signal 9"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_ends_at_once_says_why_and_is_tried_again() {
    let rig = Rig::new(1).await;
    let release = rig.publish("billing", "v1", |document| document["env"]["STATUS"] = "3".into());
    rig.plan("billing", &release, 1);
    let backoff = rig.sees("billing", Backoff).await;
    assert_eq!(backoff.message, "exit status 3: refusing to serve");
    assert_eq!((backoff.exit, backoff.restarts), (Some(Exit::Code(3)), 1));
    let observed = rig.until("an observation", |view| view.observed.values().next().cloned()).await;
    assert_eq!(observed.failed.as_ref().unwrap().revision, release.revision());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_falls_ill_is_replaced() {
    let rig = Rig::new(1).await;
    let release = rig.publish("billing", "v1", |document| document["env"]["SICK_AFTER"] = "2".into());
    rig.plan("billing", &release, 1);
    rig.until("a restart", |view| {
        view.endpoints().find(|endpoint| endpoint.restarts > 0 && endpoint.is_ready()).cloned()
    })
    .await;
    assert!(
        rig.messages(EventKind::HealthFail)[0]
            .starts_with("failed 3 health checks in a row: GET /health: status 500")
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_completes_once_and_a_worker_works() {
    let rig = Rig::new(1).await;
    let (job, worker) =
        (rig.job("job", &["exit"], Workload::Job), rig.job("worker", &["work"], Workload::Worker));
    rig.plan("job", &job, 1);
    rig.plan("worker", &worker, 1);
    let done = rig.sees("job", Completed).await;
    assert_eq!(done.exit, Some(Exit::Code(0)));
    rig.serves("worker", &worker, 1).await;
    assert_eq!(rig.states(), [(app("job"), Completed), (app("worker"), Ready)]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_spore_runs_as_soon_as_it_is_there() {
    let rig = Rig::new(1).await;
    let release = rig.service("billing", "v1");
    let path = rig.repo.path(&release.digest).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    rig.plan("billing", &release, 1);
    let waiting = rig.sees("billing", Pulling).await;
    assert!(waiting.message.contains("is not in the repository"), "{}", waiting.message);
    rig.repo.put(bytes.as_slice()).unwrap();
    rig.agents.values().for_each(|agent| agent.arrivals().arrived(release.digest));
    rig.serves("billing", &release, 1).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_starts_takes_over_what_runs() {
    let mut rig = Rig::new(1).await;
    let release = rig.service("billing", "v1");
    rig.plan("billing", &release, 3);
    let before = rig.serves("billing", &release, 3).await;
    rig.crash().await;
    let killed = before[0].pid.unwrap();
    kill(killed);
    rig.start().await;
    let after = rig
        .until("three ready ones, one of them new", |view| {
            let ready: Vec<_> = view.endpoints().filter(|endpoint| endpoint.is_ready()).cloned().collect();
            (ready.len() == 3 && ready.iter().all(|endpoint| endpoint.pid != Some(killed))).then_some(ready)
        })
        .await;
    let same = after.iter().filter(|endpoint| before.iter().any(|old| old.pid == endpoint.pid)).count();
    assert_eq!((same, rig.count(EventKind::ProcessExit)), (2, 1));
    for turn in 0..3 {
        rig.requests.get("billing", "/hello", turn).unwrap();
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_of_a_node_that_is_no_more_is_ended() {
    let mut rig = Rig::new(2).await;
    let release = rig.service("billing", "v1");
    rig.plan("billing", &release, 4);
    rig.serves("billing", &release, 4).await;
    rig.crash().await;
    let first: std::collections::BTreeSet<_> = [types::NodeName::new("node-1").unwrap()].into();
    let run = rig.dir.path().join("run");
    assert_eq!(agent::retire(&rig.keeper_config(), &first, &run).await.unwrap(), 2);
    assert!(run.join("node-1").exists() && !run.join("node-2").exists());
    let (keeper, left, _) = membrane::Keeper::attach(rig.keeper_config()).await.unwrap();
    assert_eq!(left.iter().filter(|process| process.id.starts_with("node-1/")).count(), 2);
    assert_eq!(left.len(), 2);
    drop(keeper);
    rig.start().await;
    rig.serves("billing", &release, 4).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_keeper_is_killed_everything_is_started_again() {
    let rig = Rig::new(2).await;
    let release = rig.service("billing", "v1");
    rig.plan("billing", &release, 2);
    let before = rig.serves("billing", &release, 2).await;
    let (keeper, _, events) = membrane::Keeper::attach(rig.keeper_config()).await.unwrap();
    kill(keeper.pid());
    drop((keeper, events));
    let pids: Vec<_> = before.iter().map(|endpoint| endpoint.pid).collect();
    rig.until("two new ones", |view| {
        let ready: Vec<_> = view.endpoints().filter(|endpoint| endpoint.is_ready()).collect();
        (ready.len() == 2 && ready.iter().all(|endpoint| !pids.contains(&endpoint.pid))).then_some(())
    })
    .await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_stops_even_when_its_keeper_is_lost_for_good() {
    let mut rig = Rig::new(1).await;
    let release = rig.service("billing", "v1");
    rig.plan("billing", &release, 2);
    let endpoints = rig.serves("billing", &release, 2).await;
    let (keeper, _, events) = membrane::Keeper::attach(rig.keeper_config()).await.unwrap();
    let pid = keeper.pid();
    drop((keeper, events));
    std::fs::remove_file(rig.keeper_program()).unwrap();
    kill(pid);
    for (_, agent) in std::mem::take(&mut rig.agents) {
        tokio::time::timeout(crate::rig::PATIENCE, agent.stop()).await.expect("the agent should stop");
    }
    assert_eq!(rig.states(), []);
    for endpoint in endpoints {
        assert!(!std::path::Path::new(&format!("/proc/{}/exe", endpoint.pid.unwrap())).exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_runs_by_its_interpreter() {
    let rig = Rig::new(1).await;
    let script = rig.dir.path().join("script");
    std::fs::write(&script, "echo \"$MESH_APP $1 $(ulimit -Hn)\"\nexit 0\n").unwrap();
    let document = serde_json::json!({
        "kind": "Spore", "name": "script", "version": "v1", "command": "script.sh", "args": ["one"],
        "env": {}, "provides": [], "workload": "job", "interpreter": "sh -eu",
        "nutrients": { "cpu_milli": 1, "memory_mb": 64, "open_files": 77 }, "slo": { "p99_budget_ms": 300 },
        "security": { "lsm_profile": "default", "read_only_fs": false },
    });
    let keys = soul::KeyStore::open(&rig.dir.path().join("keys")).unwrap();
    let (publisher, _) = keys.ensure("publisher").unwrap();
    assert!(rig.trust.trusts(&publisher.public_key()).unwrap());
    let release = rig.pack(&document, &script, &publisher);
    rig.plan("script", &release, 1);
    let done = rig.sees("script", ReplicaState::Completed).await;
    let logs = rig.dir.path().join("logs/node-1").join(done.replica.as_str());
    assert_eq!(membrane::tail(&logs, 1).unwrap()[0].text, "script one 77");
    rig.stop().await;
}

pub fn kill(pid: u32) {
    let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    assert!(killed.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_over_its_memory_goes_as_a_whole_is_named_so_and_backs_off() {
    let rig = Rig::new(1).await;
    let (keeper, ..) = membrane::Keeper::attach(rig.keeper_config()).await.unwrap();
    if let membrane::Hold::Not(why) = &keeper.budgets().unwrap().memory {
        println!("SKIPPED: {why}");
        return rig.stop().await;
    }
    let script = rig.dir.path().join("script");
    // a child that does nothing wrong goes with the one that takes 200 MB
    std::fs::write(&script, "sleep 1000 & echo $!\nx=$(head -c 200000000 /dev/zero | tr '\\0' x)\n").unwrap();
    let document = serde_json::json!({
        "kind": "Spore", "name": "script", "version": "v1", "command": "script.sh", "args": [],
        "env": {}, "provides": [], "workload": "job", "interpreter": "bash -u",
        "nutrients": { "cpu_milli": 1, "memory_mb": 64 }, "slo": { "p99_budget_ms": 300 },
        "security": { "lsm_profile": "default", "read_only_fs": false },
    });
    let release = rig.pack(&document, &script, &*rig.publisher);
    rig.plan("script", &release, 1);
    let failed = rig.sees("script", Backoff).await;
    let named = failed.message.strip_prefix("killed: out of memory (limit 64 MiB): ");
    let child = named.unwrap_or_else(|| panic!("{failed:?}"));
    assert!(!std::path::Path::new(&format!("/proc/{child}/exe")).exists());
    assert_eq!(failed.exit, Some(Exit::Signal(9)));
    assert!(rig.messages(EventKind::ProcessExit).contains(&failed.message));
    rig.until("another try, and its end", |view| {
        view.endpoints().find(|endpoint| endpoint.state == Backoff && endpoint.restarts > 1).cloned()
    })
    .await;
    rig.stop().await;
}
