use super::*;

#[test]
fn long_lines_are_cut_by_what_is_seen_of_them() {
    assert_eq!(cut("\x1b[31mabc\x1b[0m", 3), "\x1b[31mabc\x1b[0m");
    assert_eq!(cut("\x1b[31mabcd\x1b[0m", 3), "\x1b[31mab…\x1b[0m");
    assert_eq!(width(&cut("mmmmmmmmmm", 4)), 4);
}
