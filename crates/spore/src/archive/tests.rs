use super::header::{CENTRAL_BYTES, END_BYTES, LOCAL_BYTES, central_record};
use super::*;

#[test]
fn headers_have_the_sizes_that_the_format_gives_them() {
    let entry = Entry { name: "binary".to_owned(), crc: 1, size: 2, offset: 3 };
    assert_eq!(local_header(&entry).len(), LOCAL_BYTES + 6);
    assert_eq!(central_record(&entry).len(), CENTRAL_BYTES + 6);
    assert_eq!(Tail::of(&[entry], 9).len(), CENTRAL_BYTES + 6 + END_BYTES);
}

#[test]
fn an_entry_ends_where_its_content_does() {
    let entry = Entry { name: "binary".to_owned(), crc: 0, size: u32::MAX, offset: u32::MAX };
    assert_eq!(entry.end(), 2 * u64::from(u32::MAX) + 36);
}
