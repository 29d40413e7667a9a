use std::time::Duration;

use proptest::prelude::*;

use super::*;

const TIMES: Times = Times {
    window: Duration::from_secs(300),
    minimum: Duration::from_secs(1800),
    half_life: Duration::from_secs(86_400),
};
const MIB: u64 = 1 << 20;

fn learner() -> Learner<u32> {
    Learner::new(TIMES, Needs::default(), Duration::ZERO)
}

/// A replica that uses so much CPU (in thousandths) and memory (in MiB) in each of these seconds.
fn observe(learner: &mut Learner<u32>, from: u64, seconds: u64, used: impl Fn(u64) -> (u64, u64)) {
    let mut cpu = 0;
    for second in from..=from + seconds {
        let (milli, mib) = used(second);
        cpu += milli * 1000;
        let reading = Reading { cpu_usec: Some(cpu), memory: Some(mib * MIB), ..Reading::default() };
        learner.note(1, Duration::from_secs(second), &reading);
    }
}

#[test]
fn what_is_steady_is_advised_with_a_margin_that_shrinks_with_the_evidence() {
    let mut learner = learner();
    observe(&mut learner, 0, 1799, |_| (100, 40));
    assert_eq!(learner.needs().advice(), None);
    observe(&mut learner, 1800, 60, |_| (100, 40));
    let early = learner.needs().advice().unwrap();
    observe(&mut learner, 2000, 80_000, |_| (100, 40));
    let late = learner.needs().advice().unwrap();
    assert!((115..=127).contains(&late.cpu_milli.unwrap()), "{late:?}");
    assert!((60..=70).contains(&early.memory_mb.unwrap()), "{early:?}");
    assert!((46..=50).contains(&late.memory_mb.unwrap()), "{late:?}");
}

#[test]
fn a_peak_is_never_given_less_than_it_was_until_it_is_forgotten() {
    let mut learner = learner();
    observe(&mut learner, 0, 40_000, |second| (10, if second == 20_000 { 400 } else { 40 }));
    assert!(learner.needs().advice().unwrap().memory_mb.unwrap() >= 400);
    // Ten days are ten half-lives: of a weight of a thousand nothing is left.
    for day in 1..=11 {
        observe(&mut learner, day * 86_400, 3600, |_| (10, 40));
    }
    assert!(learner.needs().advice().unwrap().memory_mb.unwrap() < 60);
}

#[test]
fn what_comes_and_goes_between_two_readings_shows_in_the_peak_and_what_files_hold_is_left_out() {
    let mut learner = learner();
    let of = |memory: u64, peak: u64, cache: u64| Reading {
        cpu_usec: None,
        memory: Some(memory * MIB),
        peak: Some(peak * MIB),
        cache: Some(cache * MIB),
    };
    for (second, reading) in [(0, of(240, 240, 200)), (1, of(241, 241, 200)), (2, of(240, 241, 200))] {
        learner.note(1, Duration::from_secs(second), &reading);
    }
    assert_eq!(learner.needs().memory.max(), Some(round_up(41)));
    learner.note(1, Duration::from_secs(3), &of(240, 290, 200));
    assert_eq!(learner.needs().memory.max(), Some(round_up(90)));
    learner.note(1, Duration::from_secs(301), &of(240, 290, 200));
    learner.note(1, Duration::from_secs(700), &of(240, 290, 200));
    assert_eq!(learner.needs().memory.quantile(500), Some(40), "the peak was in one window");
}

#[test]
fn a_lack_of_memory_raises_it_at_once() {
    let mut learner = learner();
    observe(&mut learner, 0, 5, |_| (10, 60));
    learner.out_of_memory(64);
    let advice = learner.needs().advice().unwrap();
    assert!(advice.only_more && advice.memory_mb.unwrap() >= 164, "{advice:?}");
    learner.out_of_memory(1000);
    let advice = learner.needs().advice().unwrap();
    assert!((1200..=1260).contains(&advice.memory_mb.unwrap()), "{advice:?}");
}

#[test]
fn what_hardly_changes_is_not_said_again() {
    let mut one = learner();
    observe(&mut one, 0, 50_000, |second| (100 + second % 3, 40));
    let said = one.needs();
    observe(&mut one, 50_001, 20_000, |second| (102 - second % 3, 41));
    assert!(!one.needs().differs(&said));
    observe(&mut one, 80_000, 20_000, |_| (400, 41));
    assert!(one.needs().differs(&said));
}

/// Three nodes, each with a replica whose use is noisy, and higher by day; each says what is new at most every five minutes.
#[test]
fn what_all_say_together_settles_and_does_not_go_up_and_down() {
    let mut nodes: Vec<(Learner<u32>, Needs, u64)> =
        (0..3).map(|_| (learner(), Needs::default(), 0)).collect();
    let (mut noise, mut records) = (1_u64, 0);
    let mut sizes: Vec<(u64, Option<Advice>)> = vec![(0, None)];
    for second in (0..5 * 86_400).step_by(10) {
        let day = if second % 86_400 < 43_200 { 150 } else { 100 };
        for (learner, said, cpu) in &mut nodes {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *cpu += day * (50 + (noise >> 33) % 100) / 100 * 10_000;
            let memory = (80 + (noise >> 40) % 20) * MIB;
            let reading = Reading { cpu_usec: Some(*cpu), memory: Some(memory), ..Reading::default() };
            learner.note(1, Duration::from_secs(second), &reading);
            if second % 300 == 0 && learner.needs().differs(said) {
                *said = learner.needs();
                records += 1;
            }
        }
        let mut all = Needs::default();
        if second % 300 == 0 {
            nodes.iter().for_each(|(_, said, _)| all.add(said));
            if sizes.last().is_none_or(|(_, before)| *before != all.advice()) {
                sizes.push((second, all.advice()));
            }
        }
    }
    assert!(records < 60, "{records} records in five days");
    let late: Vec<_> = sizes.iter().filter(|(second, _)| *second > 2 * 86_400).collect();
    assert!(late.len() <= 1, "it still changes: {late:?}");
    let last = sizes.last().unwrap().1.unwrap();
    assert!((200..300).contains(&last.cpu_milli.unwrap()), "{last:?}");
    assert!((100..130).contains(&last.memory_mb.unwrap()), "{last:?}");
}

#[test]
fn values_are_told_by_at_most_a_twentieth_more() {
    for value in (1..5000).chain([1 << 20, 999_999_999]) {
        let told = round_up(value);
        assert!(told >= value && told <= value + value / 20 + 1, "{value} is told as {told}");
    }
    assert!(round_up(u64::MAX) == u64::MAX);
}

fn histogram() -> impl Strategy<Value = Histogram> {
    proptest::collection::vec((0..BUCKETS as u16 + 50, any::<u32>().prop_map(u64::from)), 0..80)
        .prop_map(Histogram::of)
}

proptest! {
    #[test]
    fn a_sum_does_not_depend_on_the_order(all in proptest::collection::vec(histogram(), 0..6), seed: u64) {
        let sum = |all: &[Histogram]| {
            let mut sum = Histogram::default();
            all.iter().for_each(|one| sum.add(one));
            sum
        };
        let mut other = all.clone();
        other.sort_by_key(|one| one.max().unwrap_or(0).wrapping_mul(seed | 1));
        other.rotate_left(all.len().min(2));
        prop_assert_eq!(sum(&all), sum(&other));
        let nested = |at: usize| {
            let mut left = sum(&all[..at]);
            left.add(&sum(&all[at..]));
            left
        };
        (0..=all.len()).for_each(|at| assert_eq!(nested(at), sum(&all)));
    }

    #[test]
    fn quantiles_rise_and_hold_what_was_seen(values in proptest::collection::vec(0..2_000_000_u64, 1..200)) {
        let mut seen = Histogram::default();
        values.iter().for_each(|value| seen.note(*value, 1));
        let mut sorted = values.clone();
        sorted.sort_unstable();
        let mut before = 0;
        for permille in [1, 500, 900, 950, 990, 1000] {
            let exact = sorted[(sorted.len() * permille).div_ceil(1000) - 1];
            let told = seen.quantile(permille as u64).unwrap();
            prop_assert!(told >= exact && told <= exact + exact / 20 + 1, "{exact} is told as {told}");
            prop_assert!(told >= before);
            before = told;
        }
        prop_assert!(seen.max().unwrap() >= *sorted.last().unwrap());
    }

    #[test]
    fn few_numbers_say_nothing_less(of in histogram(), most in 1..40_usize) {
        let told = of.buckets(most);
        prop_assert!(told.len() <= most);
        prop_assert!(told.is_sorted_by(|one, next| one.0 < next.0));
        let again = Histogram::of(told);
        prop_assert_eq!(again.max(), of.max());
        for permille in [100, 500, 950, 990] {
            prop_assert!(again.quantile(permille) >= of.quantile(permille));
        }
        prop_assert_eq!(Histogram::of(of.buckets(BUCKETS)), of);
    }

    #[test]
    fn sixteen_sixteenths_are_half_and_all_of_it_goes(weight in 1_000_000_000_u64..1 << 40) {
        let mut of = Histogram::of([(7, weight)]);
        (0..16).for_each(|_| of.fade());
        let left = of.buckets(9)[0].1;
        prop_assert!(left.abs_diff(weight / 2) <= weight / 5000 + 16);
        (0..16 * 64).for_each(|_| of.fade());
        prop_assert!(of.is_empty());
    }

    #[test]
    fn any_readings_are_learned_from_without_a_panic(
        readings in proptest::collection::vec((0..4_u32, 0..10_000_u64, any::<Option<u64>>(), any::<Option<u64>>(), any::<[Option<u64>; 2]>()), 0..100),
    ) {
        let mut learner = learner();
        let mut at = Duration::ZERO;
        for (replica, passed, cpu_usec, memory, [peak, cache]) in readings {
            at += Duration::from_millis(passed * passed);
            learner.note(replica, at, &Reading { cpu_usec, memory, peak, cache });
            learner.ready(at);
            learner.retain(|other| *other != replica || passed % 7 > 0);
        }
        let needs = learner.needs();
        if let Some(advice) = needs.advice() {
            prop_assert!(advice.cpu_milli.is_none_or(|cpu| cpu >= LEAST_CPU));
            prop_assert!(advice.memory_mb.is_none_or(|memory| memory >= LEAST_MEMORY));
        }
        prop_assert!(!needs.differs(&needs));
    }
}
