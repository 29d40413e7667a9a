mod plant;

use super::*;
use plant::Plant;
use proptest::prelude::*;

fn scale() -> Scale {
    Scale { p99_budget_ms: Some(100), idle_ms: 60_000, settle_ms: 30_000, metric: None }
}

/// One replica answers 50 a second; a part of that is what it can answer in time.
#[test]
fn a_step_of_ten_times_is_served_in_time_within_seconds_and_then_all_is_quiet() {
    for seed in 0..60 {
        let mut plant = Plant::new(1 + seed as usize % 3, (1, 30), &scale(), seed);
        plant.run(60.0, |_| 20.0);
        assert_eq!(plant.wanted(), 1, "seed {seed}: one is enough: {:?}", plant.history);
        plant.run(300.0, |_| 200.0);
        let (history, late) = (&plant.history, plant.late(65, 360));
        assert!(late <= 0.01, "seed {seed}: late {late}: {history:?}");
        // Edges that see only their part of the load each learn for themselves.
        assert!(plant.turns(60.0) <= if seed % 3 == 0 { 1 } else { 3 }, "seed {seed}: {history:?}");
        let most = history.iter().map(|(_, wanted)| *wanted).max().unwrap();
        assert!((5..=16).contains(&plant.wanted()) && most <= 18, "seed {seed}: {history:?}");
    }
}

/// It is tried now and then whether fewer do, more and more rarely; and chance has it that more are asked for.
#[test]
fn a_constant_load_hardly_changes_anything_in_an_hour_and_hardly_anything_is_said() {
    for seed in 0..30 {
        let edges = 1 + seed as usize % 4;
        let mut plant = Plant::new(edges, (1, 30), &scale(), seed);
        let rate = [3.0, 30.0, 60.0, 110.0, 240.0][seed as usize % 5];
        plant.run(120.0, |_| rate);
        let said = plant.published();
        plant.run(3600.0, |_| rate);
        let (history, late) = (&plant.history, plant.late(120, 3720));
        assert!(plant.turns(120.0) <= 6, "seed {seed} rate {rate}: {history:?}");
        assert!(late <= 0.01, "seed {seed} rate {rate}: late {late}: {history:?}");
        let said = plant.published() - said;
        assert!(
            said <= 20 * edges as u64,
            "seed {seed} rate {rate}: {said} records an hour of {edges} edges"
        );
    }
}

#[test]
fn a_load_that_grows_steadily_is_met_before_it_is_there() {
    for seed in 0..20 {
        let mut plant = Plant::new(1, (1, 60), &scale(), seed);
        plant.run(30.0, |_| 60.0);
        plant.run(60.0, |at| 60.0 + 9.0 * at);
        let late = plant.late(32, 90);
        assert!(late <= 0.02, "seed {seed}: late {late}: {:?}", plant.history);
        plant.run(120.0, |_| 600.0);
        assert!(plant.late(92, 210) <= 0.01, "seed {seed}: {:?}", plant.history);
    }
}

#[test]
fn what_a_load_needed_leaves_after_a_while_and_comes_back_at_once() {
    for seed in 0..20 {
        let mut plant = Plant::new(2, (1, 30), &scale(), seed);
        plant.run(60.0, |_| 200.0);
        let (peak, many) = (plant.now, plant.wanted());
        plant.run(120.0, |_| 20.0);
        let early =
            plant.history.iter().any(|(at, wanted)| (peak..peak + 20.0).contains(at) && *wanted < many);
        assert!(!early && plant.wanted() <= 2, "seed {seed}: {:?}", plant.history);
        plant.run(60.0, |_| 200.0);
        assert!(plant.late(185, 240) <= 0.01, "seed {seed}: what was learned is known: {:?}", plant.history);
    }
}

/// Each answer takes longer than the budget: no number of replicas changes that.
#[test]
fn what_replicas_cannot_help_asks_for_few() {
    let mut plant = Plant::new(1, (1, 100), &scale(), 1).steady();
    plant.service = 0.15;
    plant.run(600.0, |_| 10.0);
    assert!(plant.wanted() <= 4, "{:?}", plant.history);
}

#[test]
fn an_app_that_sleeps_is_asked_for_as_long_as_it_is_used_and_woken_at_once() {
    let secs = Duration::from_secs_f64;
    let mut load = Load::new(&scale(), true, secs(0.0));
    let around = Around { floor: 1, ..Around::default() };
    let mut counts = Counts::default();
    assert_eq!(load.note(secs(0.25), counts, &around), None, "nobody asks, and others run it");
    counts.open = 1;
    let woken = load.wake(secs(0.3)).expect("the first request is said");
    assert_eq!((woken.need_milli, load.wake(secs(0.4))), (1, None), "and the second says nothing new");
    (counts.started, counts.ended, counts.open) = (1, 1, 0);
    let said: Vec<(u32, u64)> = (1..=260)
        .filter_map(|look| Some((look, load.note(secs(f64::from(look) * 0.25), counts, &around)?.need_milli)))
        .collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].1 == 0 && (238..=244).contains(&said[0].0), "a minute after the last request: {said:?}");
}

#[test]
fn who_runs_what_nobody_asks_for_says_so_once() {
    let secs = Duration::from_secs_f64;
    let mut load = Load::new(&scale(), true, secs(0.0));
    let around = Around { floor: 1, ready: 1, wanted: 1, hosts: true, ..Around::default() };
    let said = |load: &mut Load, from: u32| -> Vec<u64> {
        let look = |look: u32| load.note(secs(f64::from(look) * 0.25), Counts::default(), &around);
        (from..from + 300).filter_map(look).map(|figure| figure.need_milli).collect()
    };
    assert_eq!(said(&mut load, 0), [0]);
    assert_eq!(said(&mut load, 300), [0; 0]);
    load.revise(&scale(), true, true, secs(150.0));
    assert_eq!(said(&mut load, 600), [0], "another release is another matter");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever an edge counts, what it says is bounded, and it doesn't panic.
    #[test]
    fn nothing_that_is_counted_breaks_it(
        steps in prop::collection::vec((0u64..1 << 50, 0u64..1 << 50, 0u64..1 << 50, 0u32..50, any::<bool>()), 1..60),
        sleeps in any::<bool>(),
        metric in prop::option::of(any::<u64>()),
    ) {
        let mut load = Load::new(&scale(), sleeps, Duration::ZERO);
        for (step, (started, ended, open, ready, wake)) in steps.into_iter().enumerate() {
            let now = Duration::from_millis(250 * step as u64);
            let counts = Counts { started, ended, slow: ended / 2, late: ended, open, p99_ms: open };
            let around = Around {
                ready, wanted: ready, floor: 1, others_milli: started, pace_milli: ended % 1000, said_milli: 0, metric_milli: metric, hosts: true,
            };
            let said = if wake { load.wake(now) } else { load.note(now, counts, &around) };
            if let Some(said) = said {
                prop_assert!(said.rate_milli <= 1_000_000_000_000 && said.pace_milli <= 1_000_000_000_000);
            }
        }
    }
}
