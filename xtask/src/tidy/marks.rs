//! Marks of unfinished work: either do it, or open an issue.

use crate::lex::is_word;
use crate::tree::File;
use crate::violation::Violation;

/// Written in two halves, so that this file doesn't accuse itself.
const MARKS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

pub fn check(files: &[File]) -> Vec<Violation> {
    let mut all = Vec::new();
    for file in files {
        for (at, line) in file.text.lines().enumerate() {
            for mark in MARKS.into_iter().filter(|mark| has_word(line, mark)) {
                all.push(Violation::new(&file.path, at + 1, format!("{mark}; do it, or open an issue")));
            }
        }
    }
    all
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}
