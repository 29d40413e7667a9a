use super::*;
use crate::testing::*;

fn succession(roots: &Roots, root: u8, recovery: u8, signer: u8) -> Succession {
    Succession::sign(roots, public(root), public(recovery), &key(signer)).unwrap()
}

/// The roots after this succession; it must be taken.
fn after(roots: &Roots, succession: &Succession) -> Roots {
    let mut roots = roots.clone();
    assert_eq!(roots.apply(succession), Ok(true));
    roots
}

fn refused(roots: &Roots, succession: &Succession) -> SuccessionError {
    let mut after = roots.clone();
    let error = after.apply(succession).unwrap_err();
    assert_eq!(after, *roots, "what is refused changes nothing");
    error
}

#[test]
fn root_and_recovery_are_two_keys_and_both_make_the_mesh() {
    assert_eq!(Genesis::new(public(ROOT), public(ROOT)), Err(SameKey));
    let swapped = Genesis::new(public(RECOVERY), public(ROOT)).unwrap();
    assert_ne!(swapped.mesh(), mesh());
    assert_eq!(Genesis::decode(&genesis().encode()), Ok(genesis()));
    for altered in alterations(&genesis().encode()) {
        assert!(Genesis::decode(&altered).map_or(true, |read| read.mesh() != mesh()));
    }
    let same = [&[0, 1][..], public(ROOT).as_bytes(), public(ROOT).as_bytes()].concat();
    assert_eq!(Genesis::decode(&same), Err(FormError::Field("recovery key")));
}

#[test]
fn the_recovery_key_replaces_the_root_and_can_replace_itself() {
    let first = succession(&roots(), NEW_ROOT, NEW_RECOVERY, RECOVERY);
    let one = after(&roots(), &first);
    assert_eq!((one.root(), one.recovery(), one.generation()), (public(NEW_ROOT), public(NEW_RECOVERY), 1));
    assert_eq!(one.mesh(), mesh(), "it stays the same mesh");
    assert!(one.was_root(&public(ROOT)) && one.was_root(&public(NEW_ROOT)) && !one.was_root(&public(OTHER)));

    let second = succession(&one, OTHER, NEW_RECOVERY, NEW_RECOVERY);
    let two = after(&one, &second);
    assert_eq!((two.root(), two.generation()), (public(OTHER), 2));
    assert_eq!(after(&after(&roots(), &first), &second), two);
}

#[test]
fn the_same_succession_twice_and_an_older_one_change_nothing() {
    let first = succession(&roots(), NEW_ROOT, RECOVERY, RECOVERY);
    let mut roots = after(&roots(), &first);
    assert_eq!(roots.apply(&first), Ok(false));
    let second = succession(&roots, OTHER, RECOVERY, RECOVERY);
    let mut roots = after(&roots, &second);
    let before = roots.clone();
    assert_eq!(roots.apply(&first), Ok(false));
    assert_eq!(roots, before);
}

#[test]
fn a_generation_may_be_skipped() {
    let mut later = succession(&roots(), NEW_ROOT, RECOVERY, RECOVERY);
    later.generation = 9;
    let roots = after(&roots(), &later.signed(&key(RECOVERY)).unwrap());
    assert_eq!(roots.generation(), 9);
}

#[test]
fn nobody_but_the_recovery_key_of_the_moment_replaces_a_root() {
    let start = roots();
    for signer in [ROOT, NEW_ROOT, OTHER] {
        let bad = succession(&start, NEW_ROOT, RECOVERY, signer);
        assert_eq!(refused(&start, &bad), SuccessionError::Signer(public(signer)));
    }
    let moved = after(&start, &succession(&start, ROOT, NEW_RECOVERY, RECOVERY));
    let late = succession(&moved, OTHER, RECOVERY, RECOVERY);
    assert_eq!(refused(&moved, &late), SuccessionError::Signer(public(RECOVERY)), "a key given up long ago");
}

#[test]
fn an_altered_or_foreign_succession_is_refused() {
    let good = succession(&roots(), NEW_ROOT, NEW_RECOVERY, RECOVERY);
    for altered in alterations(&good.encode()) {
        let taken = Succession::decode(&altered).is_ok_and(|read| roots().apply(&read) == Ok(true));
        assert!(!taken, "{altered:?}");
    }
    let mut forged = good.signed(&key(OTHER)).unwrap();
    forged.signer = public(RECOVERY);
    assert_eq!(refused(&roots(), &forged), SuccessionError::Signature);
    forged.mesh = MeshId::from_bytes([9; 32]);
    assert_eq!(refused(&roots(), &forged), SuccessionError::OtherMesh(forged.mesh));
}

#[test]
fn a_succession_leaves_two_keys_and_brings_no_root_back() {
    let start = roots();
    let same = succession(&start, NEW_ROOT, NEW_ROOT, RECOVERY);
    assert_eq!(refused(&start, &same), SuccessionError::SameKey);
    let one = after(&start, &succession(&start, NEW_ROOT, RECOVERY, RECOVERY));
    let back = succession(&one, ROOT, RECOVERY, RECOVERY);
    assert_eq!(refused(&one, &back), SuccessionError::Replaced(public(ROOT)));
    let kept = succession(&one, NEW_ROOT, NEW_RECOVERY, RECOVERY);
    assert_eq!(after(&one, &kept).root(), public(NEW_ROOT), "the recovery key alone may change");
}

#[test]
fn two_signed_apart_are_a_conflict_that_one_above_both_settles() {
    let (a, b) =
        (succession(&roots(), NEW_ROOT, RECOVERY, RECOVERY), succession(&roots(), OTHER, RECOVERY, RECOVERY));
    let (with_a, with_b) = (after(&roots(), &a), after(&roots(), &b));
    assert_eq!(refused(&with_a, &b), SuccessionError::Conflict(1));
    assert_eq!(refused(&with_b, &a), SuccessionError::Conflict(1));
    let above = succession(&with_a, 8, RECOVERY, RECOVERY);
    assert_eq!(after(&with_a, &above).root(), after(&with_b, &above).root());
    // A rival that the recovery key didn't sign is no conflict, but a forgery.
    let forged = succession(&roots(), OTHER, RECOVERY, OTHER);
    assert_eq!(refused(&with_a, &forged), SuccessionError::Signer(public(OTHER)));
}

#[test]
fn successions_are_counted() {
    let mut roots = roots();
    for seed in 0..u8::try_from(MAX_SUCCESSIONS).unwrap() {
        let next = succession(&roots, 100 + seed, RECOVERY, RECOVERY);
        roots = after(&roots, &next);
    }
    let more = succession(&roots, 99, RECOVERY, RECOVERY);
    assert_eq!(refused(&roots, &more), SuccessionError::TooMany);
    assert_eq!(Roots::from_pem(&roots.to_pem()).unwrap(), roots);
}

#[test]
fn what_a_later_version_adds_to_a_succession_is_carried_and_covered() {
    let mut later = succession(&roots(), NEW_ROOT, RECOVERY, RECOVERY);
    later.extensions = IGNORABLE.to_vec();
    assert_eq!(refused(&roots(), &later), SuccessionError::Signature);
    let later = later.signed(&key(RECOVERY)).unwrap();
    let carried = Succession::decode(&later.encode()).unwrap();
    assert_eq!(carried.encode(), later.encode());
    assert_eq!(after(&roots(), &carried).root(), public(NEW_ROOT));
    let mut zero = later;
    zero.generation = 0;
    assert_eq!(Succession::decode(&zero.encode()), Err(FormError::Field("generation")));
}
