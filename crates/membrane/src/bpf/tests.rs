use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd as _;
use std::time::Instant;

use proptest::prelude::*;

use super::*;

/// Whether this machine can't do it: said loudly, for then nothing is tested.
fn cannot() -> bool {
    if let Err(Lack::Refused(why)) = Programs::load() {
        panic!("the kernel takes our programs to be wrong: {why}");
    }
    let why = possible().err();
    why.iter().for_each(|why| println!("SKIPPED: {why}"));
    why.is_some()
}

#[test]
fn programs_are_loaded_once_and_stand_at_many_groups() {
    if cannot() {
        return;
    }
    let begin = Instant::now();
    let programs = Programs::load().unwrap();
    println!("loaded in {:?}", begin.elapsed());
    let reach = Reach { tcp: vec![(None, 80)], ..Reach::default() };
    for _ in 0..20 {
        let group = place::Trial::new().unwrap();
        let begin = Instant::now();
        programs.attach(Some(&reach), group.as_fd()).unwrap();
        println!("attached in {:?}", begin.elapsed());
    }
}

#[test]
fn what_cannot_be_attached_leaves_nothing() {
    if cannot() {
        return;
    }
    let group = place::Trial::new().unwrap();
    let programs = Programs::load().unwrap();
    // Twice is once too often for the first of the programs, so nothing of the second try stands.
    programs.attach(None, group.as_fd()).unwrap();
    programs.attach(None, group.as_fd()).unwrap_err();
    assert_eq!(sys::maps_at(group.as_fd(), sys::Place::SocketCreate).unwrap().len(), 3);
    let file = std::fs::File::open("/proc").unwrap();
    let error = programs.attach(None, file.as_fd()).unwrap_err().to_string();
    assert!(error.starts_with("attach a program to a group: "), "{error}");
}

#[test]
fn an_address_is_the_same_however_it_is_written() {
    let mapped = IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
    let with = |address| Reach { tcp: vec![(Some(address), 80)], ..Reach::default() };
    let plain = shape::encode(Some(&with(IpAddr::V4(Ipv4Addr::LOCALHOST))), 1);
    assert_eq!(shape::encode(Some(&with(mapped)), 1), plain);
}

proptest! {
    #[test]
    fn any_bytes_are_a_record_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Some(record) = shape::decode(&bytes) {
            prop_assert!(bytes.len() >= 64);
            prop_assert_eq!(record.at, u64::from_ne_bytes(bytes[..8].try_into().unwrap()));
        }
    }
}
