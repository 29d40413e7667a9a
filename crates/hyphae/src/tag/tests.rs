use super::*;

const OTHER: Tag = [7, 9];

fn short(tag: Tag, length: usize) -> Vec<u8> {
    [&[0x40], &tag[..], &vec![1; length - 3]].concat()
}

fn long(tag: Tag, length: usize) -> Vec<u8> {
    [&[0xc0, 0, 0, 0, 1, 8], &tag[..], &vec![2; length - 8]].concat()
}

/// What is kept and what is taken of packets of 20 bytes, of which the last may be shorter.
fn divided(packets: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
    let mut buffer = packets.concat();
    let mut meta = RecvMeta::default();
    (meta.len, meta.stride) = (buffer.len(), 20);
    let taken = divide(&mut buffer, &mut meta, &[OTHER]);
    (buffer[..meta.len].to_vec(), taken)
}

#[test]
fn packets_go_to_the_run_whose_connection_they_name() {
    let (mine, theirs) = (short([1, 2], 20), short(OTHER, 20));
    assert_eq!(divided(&[mine.clone(), theirs.clone(), mine.clone()]), (mine.repeat(2), theirs.clone()));
    let (mine, theirs) = (long([1, 2], 20), long(OTHER, 12));
    assert_eq!(divided(&[mine.clone(), theirs.clone()]), (mine, theirs));
}

#[test]
fn what_names_no_connection_is_for_the_successor() {
    for packet in [vec![], vec![0x40], vec![0xc0, 0, 0, 0, 1], vec![0xc0, 0, 0, 0, 1, 2, 7, 9, 7, 9]] {
        assert_eq!(divided(std::slice::from_ref(&packet)), (packet, vec![]));
    }
}

#[test]
fn ids_begin_with_the_tag_of_their_run() {
    let tag = other_than(&[OTHER]).unwrap();
    let (one, other) = (Ids(tag).generate_cid(), Ids(tag).generate_cid());
    assert_eq!((&one[..2], &other[..2]), (&tag[..], &tag[..]));
    assert!(one != other && one.len() == Ids(tag).cid_len());
}
