//! What a node says of its own absence.

use std::time::Duration;

use fabric::{Absence, Key};

/// So many of what was forgotten are named.
const NAMED: usize = 5;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// In words.
pub(super) fn said(absence: &Absence) -> String {
    match absence {
        Absence::Began(gap, doubted) => format!(
            "this node was away for {} days: it goes by the {} that it had of others, and asks a node that stayed which \
             of them still hold",
            gap.as_secs() / DAY.as_secs(),
            counted(*doubted)
        ),
        Absence::Ended(gone) if gone.is_empty() => {
            "this node has met one that stayed: all that it had still holds".to_owned()
        }
        Absence::Ended(gone) => {
            format!("forgot {} that the mesh removed meanwhile: {}", counted(gone.len()), names(gone))
        }
        Absence::Waived => {
            "this node has met none that stayed since it was away: what it had holds from now on".to_owned()
        }
    }
}

fn counted(records: usize) -> String {
    if records == 1 { "1 record".to_owned() } else { format!("{records} records") }
}

/// Operators' first: they are what somebody asked for.
fn names(keys: &[Key]) -> String {
    let mut keys: Vec<&Key> = keys.iter().collect();
    keys.sort_by_key(|key| (&key.owner, &key.kind, &key.name));
    let mut names: Vec<String> = keys.iter().take(NAMED).map(|key| key.to_string()).collect();
    if keys.len() > NAMED {
        names.push(format!("and {} more", keys.len() - NAMED));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use fabric::{Kind, Owner};
    use types::{Namespace, NodeName};

    use super::*;

    #[test]
    fn it_says_what_an_operator_wants_to_know() {
        let began = said(&Absence::Began(34 * DAY + DAY / 2, 12));
        assert!(began.starts_with("this node was away for 34 days: it goes by the 12 records"), "{began}");
        let key = |kind, owner, name: &str| Key {
            kind,
            namespace: Namespace::default(),
            owner,
            name: name.parse().unwrap(),
        };
        let node = NodeName::new("n2").unwrap();
        let of_node = |name: &str| key(Kind::Endpoint, Owner::Node(node.clone()), name);
        let mut gone: Vec<Key> = (0..5).map(|n| of_node(&format!("billing/n2/billing-{n}"))).collect();
        gone.push(key(Kind::Plan, Owner::Operator, "billing"));
        let ended = said(&Absence::Ended(gone));
        let expected =
            "forgot 6 records that the mesh removed meanwhile: plan billing, endpoint billing/n2/billing-0, ";
        assert!(ended.starts_with(expected) && ended.ends_with(", and 1 more"), "{ended}");
    }
}
