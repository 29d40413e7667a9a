use proptest::prelude::*;

use super::gates::{self, Transport};
use super::knock;
use crate::bpf::Reach;

#[test]
fn a_port_of_all_addresses_takes_the_place_of_the_same_at_one() {
    let reach = Reach {
        tcp: vec![
            (Some([10, 0, 0, 5].into()), 80),
            (None, 80),
            (Some([10, 0, 0, 5].into()), 81),
            (None, 80),
            (Some("::ffff:10.0.0.6".parse().unwrap()), 81),
        ],
        udp: vec![(Some([10, 0, 0, 2].into()), 80), (Some([0, 0, 0, 0].into()), 53)],
        listen: vec![82],
    };
    let gates = gates::of(&reach);
    let of = |transport| -> Vec<String> {
        gates.iter().filter(|gate| gate.transport == transport).map(|gate| gate.at.to_string()).collect()
    };
    assert_eq!(of(Transport::Stream), ["0.0.0.0:80", "10.0.0.5:81", "10.0.0.6:81", "[::]:80"]);
    assert_eq!(of(Transport::Datagram), ["10.0.0.2:80", "127.0.0.1:53"]);
}

#[test]
fn those_who_listen_are_found_by_their_port() {
    let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0
   1: 00000000:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0
   2: 0100007F:1F90 0100007F:8000 01 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0";
    assert_eq!(knock::of(table, 8080), ["0100007F"]);
    assert_eq!(knock::of(table, 8081), ["00000000"]);
    assert_eq!(knock::of(table, 8082), Vec::<String>::new());
}

proptest! {
    #[test]
    fn a_table_of_any_kind_is_read_without_a_panic(table in "(?s).{0,400}", port: u16) {
        knock::of(&table, port);
    }

    #[test]
    fn two_gates_never_take_the_same_place(places in proptest::collection::vec((any::<bool>(), any::<Option<std::net::IpAddr>>(), 1_u16..5), 0..64)) {
        let of = |is: bool| places.iter().filter(|(tcp, _, _)| *tcp == is).map(|(_, ip, port)| (*ip, *port)).collect();
        let gates = gates::of(&Reach { tcp: of(true), udp: of(false), listen: Vec::new() });
        for (number, one) in gates.iter().enumerate() {
            for other in &gates[number + 1..] {
                let port = one.transport == other.transport && one.at.port() == other.at.port();
                let family = one.at.is_ipv4() == other.at.is_ipv4();
                let place = one.at.ip() == other.at.ip() || one.is_any() || other.is_any();
                prop_assert!(!(port && family && place), "{one:?} {other:?}");
            }
        }
    }
}
