use proptest::prelude::*;

use super::*;

/// What a program answers, which loads nothing but the number of the call (`struct seccomp_data`); `None` where it is past
/// what the tree is made of.
fn answer(program: &[sock_filter], number: u32) -> Option<u32> {
    let mut at = 0;
    for _ in 0..=program.len() {
        let step = program.get(at)?;
        at += 1;
        match u32::from(step.code) {
            code if code == BPF_RET | BPF_K => return Some(step.k),
            code if code == BPF_JMP | BPF_JA => at += step.k as usize,
            code if code == BPF_JMP | BPF_JGE | BPF_K => {
                at += usize::from(if number >= step.k { step.jt } else { step.jf });
            }
            other => panic!("{other:#x} is no instruction of the tree"),
        }
    }
    panic!("it doesn't end");
}

proptest! {
    #[test]
    fn just_what_is_plain_is_allowed(numbers in proptest::collection::btree_set(0..2_000_i64, 0..900)) {
        let numbers: Vec<_> = numbers.into_iter().collect();
        let tree = tree(&edges(&numbers), false, 0);
        for number in 0..2_002 {
            let expected = numbers.contains(&i64::from(number)).then_some(SECCOMP_RET_ALLOW);
            prop_assert_eq!(answer(&tree, number), expected, "{}", number);
        }
    }
}

#[test]
fn what_is_not_plain_is_for_the_filter_behind() {
    let [begin, rest] = [1, 2].map(|k| plainly(BPF_RET | BPF_K, k));
    let program = first(&[3, 4, 9], &[begin.clone(), begin.clone(), begin, rest]);
    let behind = &program[BEGIN + 1..];
    let answers: Vec<_> = (0..11).map(|number| answer(behind, number).unwrap()).collect();
    let allowed = SECCOMP_RET_ALLOW;
    assert_eq!(answers, [2, 2, 2, allowed, allowed, 2, 2, 2, 2, allowed, 2]);
}
