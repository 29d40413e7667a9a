use super::*;

fn normalised(line: &str) -> String {
    let mut root = crate::cli::command();
    root.build();
    let words = normalise(&root, line.split(' ').map(OsString::from));
    words.iter().map(|w| w.to_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_printed_commands_become_ordinary_ones() {
    assert_eq!(
        normalised("mesh deploy -app billing abc -instances 2 -warmup 2s"),
        "mesh deploy --app billing abc --instances 2 --warmup 2s"
    );
    assert_eq!(
        normalised("mesh build -manifest=m.json -binary ./b -out ./out"),
        "mesh build --manifest=m.json --binary ./b --out ./out"
    );
    assert_eq!(normalised("mesh -help"), "mesh --help");
    assert_eq!(normalised("mesh -state x repo list -json"), "mesh --state x repo list --json");
}

#[test]
fn values_short_flags_and_other_peoples_words_stay() {
    assert_eq!(normalised("mesh deploy --app -nodes ./x"), "mesh deploy --app -nodes ./x");
    assert_eq!(normalised("mesh logs -f billing"), "mesh logs -f billing");
    assert_eq!(normalised("mesh exec billing ls -json -state"), "mesh exec billing ls -json -state");
    assert_eq!(
        normalised("mesh exec -replica r billing -- ls -json"),
        "mesh exec --replica r billing -- ls -json"
    );
    assert_eq!(normalised("mesh deploy -- -json"), "mesh deploy -- -json");
    assert_eq!(normalised("mesh build -unheard-of"), "mesh build -unheard-of");
}
