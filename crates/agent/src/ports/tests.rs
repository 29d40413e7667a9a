use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};

use super::*;

fn counter() -> impl FnMut() -> u32 {
    let mut next = 0;
    move || {
        next += 1;
        next
    }
}

#[test]
fn no_two_replicas_get_one_port_and_none_is_the_kernels_own() {
    let ports = Ports::new();
    let mut random = counter();
    let taken: BTreeSet<u16> = (0..50).map(|_| ports.take(&mut random).unwrap()).collect();
    assert_eq!(taken.len(), 50);
    let range = std::fs::read_to_string(EPHEMERAL).unwrap();
    let range = parse_range(&range).unwrap();
    if *range.start() > LOWEST {
        assert!(taken.iter().all(|port| !range.contains(port)));
    }
}

#[test]
fn a_port_that_somebody_listens_on_is_passed_over() {
    let ports = Ports::new();
    let mut random = counter();
    let first = ports.take(&mut random).unwrap();
    let _somebody = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).unwrap();
    ports.give_back(first);
    let index = u32::try_from(ports.candidates.iter().position(|port| *port == first).unwrap()).unwrap();
    let mut stubborn = [index, index + 1].into_iter().chain(index..);
    assert_ne!(ports.take(&mut || stubborn.next().unwrap()).unwrap(), first);
}

#[test]
fn when_the_kernel_has_every_port_it_chooses_one() {
    let ports = Ports::outside(&(0..=u16::MAX));
    assert!(ports.candidates.is_empty());
    assert_ne!(ports.take(&mut counter()), None);
}

#[test]
fn a_port_given_back_can_be_had_again() {
    let ports = Ports::new();
    let first = ports.take(&mut counter()).unwrap();
    assert_ne!(ports.take(&mut counter()), Some(first));
    ports.give_back(first);
    assert_eq!(ports.take(&mut counter()), Some(first));
}

#[test]
fn a_fixed_port_that_is_handed_on_stays_taken() {
    let ports = Ports::new();
    let first = ports.take(&mut counter()).unwrap();
    ports.keep(first);
    ports.give_back(first);
    assert_ne!(ports.take(&mut counter()), Some(first));
}
