//! The CLI reference in Markdown, generated from the definitions and committed as `docs/cli.md`.

use clap::Command;

/// The whole reference.
#[must_use]
pub fn reference() -> String {
    let mut root = super::command().term_width(super::WIDTH);
    root.build();
    let mut text = String::from(
        "# `mesh`: the command line\n\nGenerated from the program; do not edit (`mesh --help` says the same).\n",
    );
    section(&mut text, &mut root, "mesh", 2);
    text.push_str("\n## Exit codes\n\n```text\n");
    text.push_str(&crate::exit::help());
    text.push_str("```\n");
    text
}

fn section(text: &mut String, command: &mut Command, path: &str, level: usize) {
    let heading = "#".repeat(level.min(4));
    let help = command.clone().display_name(path).bin_name(path).render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    text.push_str(&format!("\n{heading} `{path}`\n\n```text\n{}\n```\n", help.join("\n").trim_end()));
    for sub in command.get_subcommands_mut().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let path = format!("{path} {}", sub.get_name());
        section(text, sub, &path, level + 1);
    }
}
