use super::*;

fn series(runs: &[f64]) -> Series {
    Series { who: "x".into(), runs: runs.to_vec() }
}

fn figure(ours: &[f64], beside: &[&[f64]], bar: Bar) -> Figure {
    Figure::new("f", series(ours), beside.iter().map(|runs| series(runs)).collect(), bar)
}

#[test]
fn the_median_of_an_even_number_lies_between() {
    assert!((series(&[4.0, 1.0, 2.0, 3.0]).median() - 2.5).abs() < 1e-9);
    assert!((series(&[9.0, 1.0, 2.0]).median() - 2.0).abs() < 1e-9);
    assert_eq!(series(&[3.0, 1.0, 2.0]).to_string(), "2.00 (1.00..3.00)");
}

#[test]
fn the_better_of_those_beside_it_counts() {
    let peers: &[&[f64]] = &[&[10.0], &[12.0]];
    assert_eq!(figure(&[9.9], peers, Bar::NoMoreThanBest).verdict(), Verdict::Met);
    assert_eq!(figure(&[10.1], peers, Bar::NoMoreThanBest).verdict(), Verdict::Missed);
    assert_eq!(figure(&[12.1], peers, Bar::NoLessThanBest).verdict(), Verdict::Met);
    assert_eq!(figure(&[11.9], peers, Bar::NoLessThanBest).verdict(), Verdict::Missed);
    assert_eq!(figure(&[6.0], &[&[10.0]], Bar::ShareOfBest(0.65)).verdict(), Verdict::Missed);
}

#[test]
fn runs_that_overlap_are_noise() {
    assert_eq!(
        figure(&[9.0, 11.0, 12.0], &[&[10.0, 10.5, 11.5]], Bar::NoMoreThanBest).verdict(),
        Verdict::WithinNoise
    );
}

#[test]
fn nothing_measured_is_not_met() {
    assert_eq!(figure(&[], &[], Bar::AtMost(1.0)).verdict(), Verdict::Missed);
}

#[test]
fn a_bar_on_the_p99_is_missed_by_one_in_fifty() {
    let mut runs = vec![1.0; 100];
    runs[7] = 9.0;
    assert_eq!(figure(&runs, &[], Bar::P99AtMost(1.0)).verdict(), Verdict::Met);
    runs[8] = 9.0;
    assert_eq!(figure(&runs, &[], Bar::P99AtMost(1.0)).verdict(), Verdict::Missed);
    assert_eq!(figure(&[1.0, 2.0], &[], Bar::P99AtMost(1.0)).verdict(), Verdict::Missed);
}
