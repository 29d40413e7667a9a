//! Single-dash long flags (`-nodes 3`, `-edge=:8080`), as Go programs take them, become double-dash ones.
//!
//! What is a long flag, and which flag takes the next word, is read from the command definitions
//! themselves. Values, and what follows `--` or belongs to the command of `mesh exec`, stay as they are.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::{Arg, Command};

/// What the words after a subcommand mean.
struct Grammar<'a> {
    command: &'a Command,
    /// `--name` and `-n` to whether it takes the next word.
    long: BTreeMap<String, bool>,
    short: BTreeMap<char, bool>,
    /// The positional word from which on nothing is ours any more.
    trailing: Option<usize>,
}

impl<'a> Grammar<'a> {
    fn of(command: &'a Command) -> Self {
        // What may stand without a value never takes a word from us: it is looked at as any other.
        let may_be_bare = |arg: &Arg| arg.get_num_args().is_some_and(|range| range.min_values() == 0);
        let takes = |arg: &Arg| arg.get_action().takes_values() && !may_be_bare(arg);
        let mut long = BTreeMap::new();
        let mut short = BTreeMap::new();
        for arg in command.get_arguments() {
            for name in arg.get_long_and_visible_aliases().unwrap_or_default() {
                long.insert(name.to_owned(), takes(arg));
            }
            if let Some(letter) = arg.get_short() {
                short.insert(letter, takes(arg));
            }
        }
        let trailing = command.get_positionals().position(Arg::is_trailing_var_arg_set);
        Self { command, long, short, trailing }
    }
}

/// The words with every single-dash long flag that `root` knows made a double-dash one. `root` must be built.
pub fn normalise(root: &Command, argv: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut grammar = Grammar::of(root);
    let mut words = argv.into_iter();
    let mut out: Vec<OsString> = words.next().into_iter().collect();
    let mut positionals = 0;
    while let Some(word) = words.next() {
        let Some(text) = word.to_str() else {
            out.push(word);
            positionals += 1;
            continue;
        };
        if text == "--" || grammar.trailing.is_some_and(|from| positionals >= from) {
            out.push(word);
            out.extend(words);
            return out;
        }
        let Some(flag) = text.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
            positionals += 1;
            if let Some(sub) = grammar.command.find_subcommand(text) {
                grammar = Grammar::of(sub);
                positionals = 0;
            }
            out.push(word);
            continue;
        };
        let (plain, takes_next) = read_flag(&grammar, flag);
        out.push(plain.map_or(word, OsString::from));
        if takes_next {
            out.extend(words.next());
        }
    }
    out
}

/// The double-dash form of a flag that came with one dash, and whether the next word is its value.
fn read_flag(grammar: &Grammar, flag: &str) -> (Option<String>, bool) {
    let single = !flag.starts_with('-');
    let name = flag.trim_start_matches('-');
    let (name, attached) = name.split_once('=').map_or((name, false), |(name, _)| (name, true));
    if let Some(takes) = grammar.long.get(name).filter(|_| name.len() > 1 || !single) {
        return (single.then(|| format!("--{flag}")), *takes && !attached);
    }
    let mut letters = flag.chars();
    let takes = single && letters.next().and_then(|c| grammar.short.get(&c)) == Some(&true);
    (None, takes && letters.next().is_none())
}

#[cfg(test)]
mod tests;
