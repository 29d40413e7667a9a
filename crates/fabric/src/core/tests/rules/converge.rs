//! Whatever the order in which records come: the same set leaves the same store and the same authority.

use proptest::prelude::*;

use super::*;
use crate::testing::papers::give_all;

/// One record that somebody, allowed or not, may have written.
#[derive(Debug, Clone)]
enum Said {
    Root { new: bool, generation: u64, keeps: u8 },
    Operator { of: usize, by_new: bool, generation: u64, removed: bool, keeps: u8 },
    Issuer { of: usize, by_new: bool, generation: u64 },
    Member { node: usize, name: usize, issuer: usize, seconds: u64, count: u64 },
    Revoke { key: usize, generation: u64, by: usize },
    Plan { app: usize, generation: u64, replicas: u32, by: usize },
    Endpoint { node: usize, name: usize, replica: usize, count: u64 },
}

fn any_said() -> impl Strategy<Value = Said> {
    let root = (any::<bool>(), 1u64..3, any::<u8>());
    let operator = (0usize..2, any::<bool>(), 1u64..4, prop::bool::weighted(0.4), any::<u8>());
    let issuer = (0usize..2, any::<bool>(), 1u64..3);
    let member = (0usize..3, 0usize..2, 0usize..2, 0u64..4, 1u64..6);
    let plan = (0usize..2, 1u64..4, 1u32..3, 0usize..3);
    let endpoint = (0usize..3, 0usize..2, 0usize..2, 1u64..5);
    prop_oneof![
        1 => root.prop_map(|(new, generation, keeps)| Said::Root { new, generation, keeps }),
        3 => operator.prop_map(|(of, by_new, generation, removed, keeps)| {
            Said::Operator { of, by_new, generation, removed, keeps }
        }),
        1 => issuer.prop_map(|(of, by_new, generation)| Said::Issuer { of, by_new, generation }),
        4 => member.prop_map(|(node, name, issuer, seconds, count)| {
            Said::Member { node, name, issuer, seconds, count }
        }),
        2 => (0usize..5, 1u64..3, 0usize..3)
            .prop_map(|(key, generation, by)| Said::Revoke { key, generation, by }),
        3 => plan.prop_map(|(app, generation, replicas, by)| Said::Plan { app, generation, replicas, by }),
        3 => endpoint.prop_map(|(node, name, replica, count)| {
            Said::Endpoint { node, name, replica, count }
        }),
    ]
}

const NAMES: [&str; 2] = ["node-1", "node-2"];

/// The ids of every third of these, from one or another on.
fn some(of: &[Record], keeps: u8) -> Vec<Digest> {
    let chosen = of.iter().enumerate().filter(|(n, _)| (n + usize::from(keeps)) % 3 != 0);
    chosen.map(|(_, record)| record.id()).collect()
}

/// The records; what is kept is chosen among those that stand before.
fn records(said: &[Said]) -> Vec<Record> {
    let writers = [A, B, N[2]];
    let revoked = [N[0], N[1], N[2], X, Y];
    let root = |new: bool| if new { NEW_ROOT } else { ROOT };
    let mut all: Vec<Record> = vec![papers::operator(A), papers::operator(B)];
    for said in said {
        all.push(match *said {
            Said::Root { new, generation, keeps } => {
                let roots = if new { new_roots() } else { papers::roots() };
                root_change(&roots, &some(&all, keeps), generation, root(new))
            }
            Said::Operator { of, by_new, generation, removed, keeps } => {
                let keeps = removed.then(|| some(&all, keeps));
                operator_by(root(by_new), OPERATORS[of], generation, keeps.as_deref())
            }
            Said::Issuer { of, by_new, generation } => issuer_by(root(by_new), ISSUERS[of], generation),
            Said::Member { node, name, issuer, seconds, count } => {
                member(ISSUERS[issuer], N[node], NAMES[name], seconds, count)
            }
            Said::Revoke { key, generation, by } => revoke(revoked[key], generation, writers[by]),
            Said::Plan { app, generation, replicas, by } => {
                plan_by(writers[by], ["billing", "search"][app], generation, replicas)
            }
            Said::Endpoint { node, name, replica, count } => {
                endpoint_by(N[node], NAMES[name], ["billing-a", "billing-b"][replica], count)
            }
        });
    }
    all
}

/// Everything that two stores of the same records must agree on.
fn state(core: &Core) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut view = core.view(&Namespace::default());
    view.version = 0;
    let ids: Vec<(String, Digest)> =
        core.records().map(|record| (record.key().to_string(), record.id())).collect();
    (ids, core.authority().clone(), core.revoked().clone(), format!("{view:?}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_same_records_leave_the_same_store_and_authority_in_any_order(
        said in prop::collection::vec(any_said(), 1..24), order in any::<u64>(), cut in any::<prop::sample::Index>(),
    ) {
        let all = records(&said);
        let mut straight = papers::core();
        give_all(&mut straight, &all);

        let mut shuffled = all.clone();
        shuffled.sort_by_key(|record| Digest::of(&[record.id().as_bytes().as_slice(), &order.to_be_bytes()].concat()));
        let mut other = papers::core();
        give_all(&mut other, &shuffled);
        prop_assert_eq!(state(&other), state(&straight));

        // Two sides of a cut, each with a part of it, that meet and tell each other what they hold.
        let at = cut.index(shuffled.len());
        let mut sides = [papers::core(), papers::core()];
        give_all(&mut sides[0], &shuffled[..at]);
        give_all(&mut sides[1], &shuffled[at..]);
        for side in &mut sides {
            give_all(side, &all);
            prop_assert_eq!(state(side), state(&straight));
        }

        // A restart, from what is on disk.
        let mut disk = BTreeMap::new();
        let mut first = papers::core();
        for record in &shuffled {
            let verified = record.clone().verify(&papers::mesh()).unwrap();
            write_down(&mut disk, first.handle(Input::Merge(verified), now()));
        }
        let mut again = papers::core();
        let (_, refused) = again.load(disk, now());
        prop_assert_eq!(refused, []);
        prop_assert_eq!(state(&again), state(&first));
        give_all(&mut again, &all);
        prop_assert_eq!(state(&again), state(&straight));
    }

    #[test]
    fn nothing_is_in_the_store_that_its_own_authority_would_refuse(
        said in prop::collection::vec(any_said(), 1..24),
    ) {
        let mut core = papers::core();
        for record in records(&said) {
            drop(give(&mut core, &record));
            for held in core.records() {
                let verified = held.clone().verify(&papers::mesh()).unwrap();
                prop_assert!(core.permits(&verified).is_ok());
            }
        }
    }
}
