use super::*;

const WINDOW: Duration = Duration::from_secs(6);

fn facts(run: u64, ours: bool, since: u64) -> Facts {
    Facts { run, ours, since: Duration::from_secs(since) }
}

#[test]
fn two_dials_at_once_are_settled_alike_on_both_ends() {
    // the small node dialled `a`, the large one dialled `b`; each may see either first
    for small_sees_a_first in [true, false] {
        let (old, new) = if small_sees_a_first { (true, false) } else { (false, true) };
        let small = pick(facts(1, old, 0), facts(1, new, 1), true, WINDOW);
        assert_eq!(small, if old { Verdict::UseOld } else { Verdict::UseNew });
    }
    for large_sees_b_first in [true, false] {
        let (old, new) = if large_sees_b_first { (true, false) } else { (false, true) };
        let large = pick(facts(2, old, 0), facts(2, new, 1), false, WINDOW);
        assert_eq!(large, if old { Verdict::UseNew } else { Verdict::UseOld });
    }
}

#[test]
fn a_restarted_peer_and_one_that_lost_the_connection_get_a_new_one() {
    assert_eq!(pick(facts(1, true, 0), facts(2, false, 1), true, WINDOW), Verdict::Replace);
    assert_eq!(pick(facts(1, false, 0), facts(1, false, 1), true, WINDOW), Verdict::Replace);
    assert_eq!(pick(facts(1, true, 0), facts(1, false, 7), true, WINDOW), Verdict::Replace);
}
