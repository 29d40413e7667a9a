use super::*;

fn wish(content: &[u8]) -> Wish {
    Wish {
        app: AppName::new("billing").unwrap(),
        digest: Digest::of(content),
        version: "v1".into(),
        workload: Workload::Service,
        nutrients: Nutrients { cpu_milli: 100, memory_mb: 64 },
        p99_budget_ms: 300,
        is_routed: true,
        metric: None,
        settings: Settings::default(),
    }
}

fn at(plan: Option<Plan>, rolled_back: bool) -> PlanAt {
    let generation = u64::from(plan.is_some()) * 7;
    PlanAt { next_generation: generation + 1, generation, plan, rolled_back, unfinished: false }
}

fn running(content: &[u8]) -> Plan {
    deploy(&at(None, false), &wish(content), 2000).unwrap()
}

#[test]
fn the_first_plan_takes_the_defaults() {
    let plan = deploy(&at(None, false), &wish(b"a"), 500).unwrap();
    assert_eq!((plan.min, plan.max, plan.warmup_ms, plan.release.restart), (1, 1, 500, 0));
    assert_eq!(plan.previous, None);
    plan.validate().unwrap();
}

#[test]
fn deploying_the_same_again_changes_nothing() {
    assert_eq!(deploy(&at(Some(running(b"a")), false), &wish(b"a"), 2000), None);
}

#[test]
fn a_new_spore_keeps_the_rest_and_remembers_what_ran() {
    let mut old = running(b"a");
    (old.min, old.max, old.warmup_ms) = (2, 5, 10);
    old.release.env.insert("GREETING".into(), "hi".into());
    let plan = deploy(&at(Some(old.clone()), false), &wish(b"b"), 2000).unwrap();
    assert_eq!((plan.min, plan.max, plan.warmup_ms), (2, 5, 10));
    assert_eq!(plan.release.env, old.release.env);
    assert_eq!(plan.previous, Some(Previous { generation: 7, release: old.release }));
}

#[test]
fn after_a_roll_back_the_same_spore_is_tried_anew_and_the_good_one_stays_the_way_back() {
    let good = running(b"good");
    let bad = deploy(&at(Some(good.clone()), false), &wish(b"bad"), 2000).unwrap();
    let again = deploy(&at(Some(bad.clone()), true), &wish(b"bad"), 2000).unwrap();
    assert_eq!(again.release.restart, bad.release.restart + 1);
    assert_eq!(again.previous, bad.previous);
    let other = deploy(&at(Some(bad), true), &wish(b"other"), 2000).unwrap();
    assert_eq!(other.previous.unwrap().release, good.release);
}

#[test]
fn rolling_back_swaps_the_two_and_never_leaves_a_failed_one_to_fall_back_to() {
    let good = running(b"good");
    let bad = deploy(&at(Some(good.clone()), false), &wish(b"bad"), 2000).unwrap();
    let back = roll_back(&at(Some(bad.clone()), false)).unwrap();
    assert_eq!(back.release, good.release);
    assert_eq!(back.previous.unwrap().release, bad.release);
    assert_eq!(roll_back(&at(Some(bad), true)).unwrap().previous, None);
    assert_eq!(roll_back(&at(Some(good), false)), None);
}

#[test]
fn a_stopped_app_comes_back_when_it_is_deployed() {
    let stopped = scale(&at(Some(running(b"a")), false), (0, 0), (None, None), None).unwrap();
    assert_eq!((stopped.min, stopped.max), (0, 0));
    let plan = deploy(&at(Some(stopped.clone()), false), &wish(b"a"), 2000).unwrap();
    assert_eq!((plan.min, plan.max, plan.release), (1, 1, stopped.release));
}

#[test]
fn bounds_are_said_once() {
    assert_eq!(replicas(None, None, None), Ok(None));
    assert_eq!(replicas(Some(3), None, None), Ok(Some((3, 3))));
    assert_eq!(replicas(None, Some(2), None), Ok(Some((2, 2))));
    assert_eq!(replicas(None, None, Some(4)), Ok(Some((1, 4))));
    assert_eq!(replicas(None, None, Some(0)), Ok(Some((0, 0))));
    assert!(replicas(None, Some(5), Some(4)).is_err());
    assert!(replicas(Some(1), None, Some(4)).is_err());
}

#[test]
fn a_rollout_that_is_not_over_is_nothing_to_fall_back_to() {
    let good = running(b"good");
    let mut trial = wish(b"trial");
    (trial.settings.canary, trial.settings.max_unavailable) = (Some(1), Some(2));
    let trying = deploy(&at(Some(good.clone()), false), &trial, 2000).unwrap();
    assert_eq!((trying.rollout.canary, trying.rollout.max_unavailable), (Some(1), Some(2)));
    let unfinished = PlanAt { unfinished: true, ..at(Some(trying.clone()), false) };
    let next = deploy(&unfinished, &wish(b"next"), 2000).unwrap();
    assert_eq!(next.previous.unwrap().release, good.release);
    assert_eq!(next.rollout, trying.rollout, "what was said of rollouts stays");
    let back = roll_back(&unfinished).unwrap();
    assert_eq!((back.release, back.previous), (good.release, None));
}

#[test]
fn a_new_version_of_what_an_app_reads_is_a_new_release_and_of_nothing_else() {
    let name = |text: &str| SettingName::new(text).unwrap();
    let mut plan = running(b"a");
    plan.release.settings.secrets.insert(name("db-password"), 3);
    let now = at(Some(plan.clone()), false);
    let next = renew(&now, (What::Secret, &name("db-password")), 5).unwrap();
    assert_eq!(next.release.settings.secrets[&name("db-password")], 5);
    assert_eq!(next.previous.unwrap().release, plan.release);
    assert_eq!(renew(&now, (What::Secret, &name("db-password")), 2), None, "it is newer already");
    assert_eq!(renew(&now, (What::Secret, &name("other")), 5), None);
    assert_eq!(renew(&now, (What::Config, &name("db-password")), 5), None);
    let same = deploy(&now, &wish(b"b"), 2000).unwrap();
    assert_eq!(same.release.settings, plan.release.settings, "a new spore reads what the one before read");
}
