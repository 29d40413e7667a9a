use super::*;

fn came(from: &str, to: Option<&str>, ecn: Option<EcnCodepoint>, stride: usize) -> RecvMeta {
    let (addr, dst_ip) = (from.parse().unwrap(), to.map(|to| to.parse().unwrap()));
    RecvMeta { addr, dst_ip, ecn, stride, ..RecvMeta::default() }
}

#[test]
fn packets_arrive_as_they_came() {
    for meta in [
        came("10.0.0.1:7433", Some("10.0.0.2"), Some(EcnCodepoint::Ce), 1200),
        came("[fe80::1%3]:1", Some("fe80::2"), None, 6550),
        came("[fd00::7]:65535", None, Some(EcnCodepoint::Ect0), 1),
    ] {
        let message = [header(&meta), vec![7; 2 * meta.stride]].concat();
        let (read, packets) = read_packets(&message).unwrap();
        assert_eq!((read.addr, read.dst_ip, read.stride), (meta.addr, meta.dst_ip, meta.stride));
        assert_eq!((read.ecn.map(|e| e as u8), read.len), (meta.ecn.map(|e| e as u8), 2 * meta.stride));
        assert!(packets.len() == read.len && packets.iter().all(|byte| *byte == 7));
    }
}

#[test]
fn what_is_cut_short_is_no_message() {
    let meta = came("10.0.0.1:7433", None, None, 1200);
    let whole = header(&meta);
    for end in 0..whole.len() {
        assert!(read_packets(&whole[..end]).is_none());
    }
    assert!(read_packets(&whole).is_some_and(|(_, packets)| packets.is_empty()));
    assert!(read_packets(&vec![PACKETS; whole.len()]).is_none());
}

#[test]
fn tags_are_read_as_they_were_told() {
    let told = [[1, 2], [3, 4]];
    assert_eq!(read_tags(&tags(told.into_iter())[1..]), told);
}
