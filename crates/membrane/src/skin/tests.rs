use super::*;

#[test]
fn a_filter_is_short_enough_for_the_kernel() {
    // BPF_MAXINSNS, linux/bpf_common.h
    assert!((200..4_096).contains(&calls::filter(&Skin::default()).unwrap().len()));
}

#[test]
fn what_a_skin_says_survives_the_wire() {
    let skin = Skin { read: vec!["/etc".into()], connect: Some(vec![1]), ..Skin::default() };
    assert_eq!(serde_json::from_str::<Skin>(&serde_json::to_string(&skin).unwrap()).unwrap(), skin);
}
