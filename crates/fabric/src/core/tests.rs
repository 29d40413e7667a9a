use super::*;
use crate::testing::*;

#[test]
fn of_two_plans_of_one_generation_one_holds_and_the_other_is_in_sight_until_the_next() {
    let (a, b) = (plan_record(1, &plan("billing", 2)), plan_record(1, &plan("billing", 3)));
    let (loser, winner) = if a.id() < b.id() { (a, b) } else { (b, a) };
    for order in [[&loser, &winner], [&winner, &loser]] {
        let mut core = core();
        for record in order {
            core.handle(Input::Merge(verified(record.clone())), now());
        }
        assert_eq!(core.get(winner.key()), Some(&winner));
        assert_eq!(core.conflicts().collect::<Vec<_>>(), [(&loser, &winner)]);
        core.handle(Input::Submit(verified(plan_record(2, &plan("billing", 4)))), now());
        assert_eq!(core.conflicts().count(), 0);
        assert_eq!(core.records().count(), 1);
    }
}
