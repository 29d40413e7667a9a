use super::*;

fn key(n: u8) -> PublicKey {
    crate::identity::Identity::new(&[n; 32]).unwrap().me
}

fn address(port: u16) -> SocketAddr {
    ([192, 0, 2, 1], port).into()
}

#[test]
fn learning_replaces_and_tells_what_is_no_more() {
    let mut book = Book::default();
    assert_eq!(book.learn(key(1), &[address(1), address(2)], 8, 8), Ok(vec![]));
    assert_eq!(book.learn(key(1), &[address(2), address(3)], 8, 8), Ok(vec![address(1)]));
    assert_eq!(book.addresses(&key(1)), [address(2), address(3)]);
    assert_eq!(book.learn(key(1), &[], 8, 8), Ok(vec![address(2), address(3)]));
    assert!(book.addresses(&key(1)).is_empty());
}

#[test]
fn an_ipv4_address_in_ipv6_clothes_is_the_same() {
    let mut book = Book::default();
    book.learn(key(1), &[address(1)], 8, 8).unwrap();
    let mapped: SocketAddr = "[::ffff:192.0.2.1]:1".parse().unwrap();
    assert_eq!(book.learn(key(1), &[mapped, address(1)], 8, 8), Ok(vec![]));
    assert_eq!(book.addresses(&key(1)), [address(1)]);
}

#[test]
fn it_is_bounded_and_an_error_changes_nothing() {
    let mut book = Book::default();
    book.learn(key(1), &[address(1)], 1, 2).unwrap();
    let many = [address(1), address(2), address(3)];
    assert_eq!(
        book.learn(key(1), &many, 1, 2),
        Err(LearnError::Addresses { peer: key(1), given: 3, most: 2 })
    );
    assert_eq!(book.learn(key(2), &[address(1)], 1, 2), Err(LearnError::Full { peer: key(2), most: 1 }));
    for nowhere in ["0.0.0.0:1", "192.0.2.1:0", "[::]:1", "224.0.0.1:1", "[ff02::1]:1"] {
        let nowhere = nowhere.parse().unwrap();
        let error = LearnError::Nowhere { peer: key(1), address: nowhere };
        assert_eq!(book.learn(key(1), &[address(2), nowhere], 1, 2), Err(error));
    }
    assert_eq!(book.addresses(&key(1)), [address(1)]);
    book.learn(key(1), &[address(2)], 1, 2).unwrap();
}
