use super::*;

#[test]
fn columns_line_up_whatever_their_colour() {
    let mut table = Table::new(&["APP", "STATE"]);
    table.row(["a".into(), "\x1b[32mready\x1b[0m".into()]);
    table.row(["longer".into(), String::new()]);
    assert_eq!(table.render(), "APP      STATE\na        \x1b[32mready\x1b[0m\nlonger   -");
    assert_eq!(width("\x1b[32mready\x1b[0m"), 5);
}
