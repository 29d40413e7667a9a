use proptest::prelude::*;

use super::*;

const FIELDS: [(&str, &str); 4] = [("one", "first"), ("one", "second"), ("two", "second"), ("one", "third")];

/// A description with an integer, an enumeration and two structures.
fn description() -> Vec<u8> {
    let texts = b"\0int\0one\0first\0second\0two\0";
    let name = |text: &str| {
        let position = texts.windows(text.len() + 1).position(|part| part == format!("{text}\0").as_bytes());
        u32::try_from(position.unwrap()).unwrap()
    };
    let mut types: Vec<u32> = vec![name("int"), 1 << 24, 4, 32];
    types.extend([0, 6 << 24 | 1, 4, 0, 7]);
    types.extend([name("one"), STRUCT << 24 | 2, 16, name("first"), 1, 0, name("second"), 1, 64]);
    // a structure with fields of bits
    types.extend([name("two"), 1 << 31 | STRUCT << 24 | 1, 16, name("second"), 1, 3 << 24 | 96]);
    let mut bytes = MAGIC.to_ne_bytes().to_vec();
    bytes.extend([1, 0]);
    let len = u32::try_from(4 * types.len()).unwrap();
    for number in [24, 0, len, len, texts.len() as u32] {
        bytes.extend(u32::to_ne_bytes(number));
    }
    bytes.extend(types.iter().flat_map(|number| number.to_ne_bytes()));
    bytes.extend(texts);
    bytes
}

#[test]
fn fields_are_found_by_the_name_of_their_structure() {
    assert_eq!(find(&description(), FIELDS), [Some(0), Some(8), Some(12), None]);
}

#[test]
fn this_kernel_says_where_its_fields_are() {
    if fs::metadata(KERNEL).is_err() {
        println!("SKIPPED: this kernel doesn't describe itself");
        return;
    }
    let [pid, nothing] = offsets([("task_struct", "pid"), ("task_struct", "no such field")]);
    assert!(pid.is_some_and(|pid| pid > 0));
    assert_eq!(nothing, None);
}

proptest! {
    #[test]
    fn a_broken_description_is_only_read_so_far(at in 0_usize..160, byte: u8, cut in 0_usize..160) {
        let mut bytes = description();
        let len = bytes.len();
        bytes[at % len] = byte;
        bytes.truncate(len - cut % len);
        find(&bytes, FIELDS);
    }
}
