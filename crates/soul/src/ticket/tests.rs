use super::*;
use crate::testing::*;

fn with(addresses: &[&str]) -> Result<Ticket, AddressError> {
    let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
    Ticket::new(genesis(), public(ISSUER), addresses, NOW, key(OTHER))
}

#[test]
fn a_proof_is_good_for_one_node_name_issuer_and_mesh_only() {
    let ticket = with(&["10.0.0.1:7700"]).unwrap();
    let request = ticket.redeem(&public(NODE), name("node-1"));
    let (mesh, issuer, node) = (genesis(), public(ISSUER), public(NODE));
    assert!(request.is_proven(&mesh, &issuer, &node));
    assert!(!request.is_proven(&mesh, &issuer, &public(OTHER)));
    assert!(!request.is_proven(&mesh, &public(OTHER), &node));
    let other_mesh = Genesis::new(public(ROOT), public(NEW_RECOVERY)).unwrap();
    assert!(!request.is_proven(&other_mesh, &issuer, &node));
    let renamed = JoinRequest { name: name("node-2"), ..request.clone() };
    assert!(!renamed.is_proven(&mesh, &issuer, &node));
    let other_ticket = JoinRequest { ticket: public(NODE), ..request };
    assert!(!other_ticket.is_proven(&mesh, &issuer, &node));
}

#[test]
fn the_secret_is_in_the_text_and_nowhere_else() {
    let ticket = with(&["10.0.0.1:7700"]).unwrap();
    let secret = [OTHER; 32];
    let holds = |bytes: &[u8]| bytes.windows(32).any(|window| window == secret);
    let request = crate::Request::Join(ticket.redeem(&public(NODE), name("node-1")));
    assert!(!holds(&request.encode()));
    assert!(!format!("{ticket:?}").contains("5, 5, 5"));
}

#[test]
fn addresses_are_few_and_such_that_another_machine_can_connect() {
    assert!(with(&["10.0.0.1:1", "[2001:db8::1]:65535", "127.0.0.1:1", "[::1]:1"]).is_ok());
    assert_eq!(with(&[]).unwrap_err(), AddressError::Count(0));
    let nine: Vec<_> = (1..=9).map(|n| format!("10.0.0.{n}:1")).collect();
    let nine: Vec<_> = nine.iter().map(String::as_str).collect();
    assert_eq!(with(&nine).unwrap_err(), AddressError::Count(9));
    assert!(with(&nine[..8]).is_ok());
    let bad = [
        "10.0.0.1:0",
        "0.0.0.0:1",
        "[::]:1",
        "224.0.0.1:1",
        "255.255.255.255:1",
        "[ff02::1]:1",
        "[::ffff:10.0.0.1]:1",
        "[fe80::1%2]:1",
    ];
    for bad in bad {
        assert_eq!(with(&[bad]).unwrap_err(), AddressError::Unusable(bad.parse().unwrap()), "{bad}");
    }
    assert!(with(&["10.0.0.1:1", "10.0.0.1:1"]).is_err(), "twice");
}
