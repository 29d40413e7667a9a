use super::*;
use mycelium::api::Traffic;
use serde_json::json;
use types::Digest;

fn replica(state: &str, restarts: u32) -> Endpoint {
    serde_json::from_value(json!({
        "appName": "billing", "nodeID": "node-1", "replica": "billing-1", "slot": 0, "restarts": restarts,
        "digest": Digest::of(b"new"), "revision": "new", "state": state, "message": "because",
        "since": "2025-09-06T00:00:00Z",
    }))
    .unwrap()
}

fn revision(name: &str) -> Revision {
    serde_json::from_value(json!(name)).unwrap()
}

fn status(state: AppState, revision_now: &str, replicas: Vec<Endpoint>) -> AppStatus {
    AppStatus {
        size: Default::default(),
        sized: None,
        app_name: types::AppName::new("billing").unwrap(),
        generation: 2,
        version: "v1".into(),
        digest: Digest::of(b"new"),
        revision: revision(revision_now),
        state,
        message: "no room".into(),
        rollout: None,
        min: 1,
        max: 1,
        wanted: 1,
        ready: 0,
        budget: None,
        url: None,
        traffic: Traffic::default(),
        replicas,
    }
}

fn judged(status: &AppStatus) -> Verdict {
    judge(status, 2, &revision("new"))
}

#[test]
fn ready_counts_for_the_revision_that_was_asked_for_only() {
    assert!(matches!(judged(&status(AppState::Ready, "new", vec![])), Verdict::Done));
    assert!(matches!(judged(&status(AppState::Completed, "new", vec![])), Verdict::Done));
    assert!(matches!(judged(&status(AppState::Ready, "old", vec![])), Verdict::Going(_)));
    assert!(matches!(judged(&status(AppState::Stopped, "old", vec![])), Verdict::Done));
    let mut earlier = status(AppState::Ready, "new", vec![]);
    earlier.generation = 1;
    assert!(matches!(judged(&earlier), Verdict::Going(_)));
}

#[test]
fn each_bad_end_has_its_code() {
    let code = |status: &AppStatus| match judged(status) {
        Verdict::Over(failure) => failure.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(&status(AppState::RolledBack, "old", vec![])), Code::RolledBack);
    assert_eq!(code(&status(AppState::Degraded, "new", vec![replica("refused", 0)])), Code::Refused);
    let mut overtaken = status(AppState::Ready, "new", vec![]);
    overtaken.generation = 3;
    assert_eq!(code(&overtaken), Code::Failure);
}

#[test]
fn one_refusal_waits_for_those_that_are_on_their_way() {
    let both = status(AppState::Degraded, "new", vec![replica("refused", 0), replica("launching", 0)]);
    assert!(matches!(judged(&both), Verdict::Going(_)));
}

#[test]
fn the_first_crash_is_no_end_but_more_are() {
    assert!(matches!(
        judged(&status(AppState::Degraded, "new", vec![replica("backoff", 1)])),
        Verdict::Going(_)
    ));
    assert!(matches!(
        judged(&status(AppState::Degraded, "new", vec![replica("backoff", 2)])),
        Verdict::Stuck(_)
    ));
    assert!(matches!(judged(&status(AppState::Degraded, "new", vec![])), Verdict::Stuck(_)));
}
