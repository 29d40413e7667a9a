//! Functions that can be read at a glance.

use crate::lex::{code_only, is_word};
use crate::tree::File;
use crate::violation::Violation;

/// The most lines from `fn` to its closing brace.
const MAX_LINES: usize = 70;

pub fn check(files: &[File]) -> Vec<Violation> {
    files.iter().filter(|file| file.is_rust()).flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Violation> {
    let code = code_only(&file.text);
    let mut all = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let inside_word = code[..at].chars().next_back().is_some_and(is_word);
        let name: String = code[at + 3..].chars().take_while(|c| is_word(*c)).collect();
        let Some(end) = body_end(&code[at..]).filter(|_| !inside_word && !name.is_empty()) else { continue };
        let lines = 1 + code[at..at + end].matches('\n').count();
        if lines > MAX_LINES {
            let what = format!("fn {name} has {lines} lines, more than {MAX_LINES}; give its parts names");
            all.push(Violation::new(&file.path, file.line_at(at), what));
        }
    }
    all
}

/// Where the body of the function that begins here ends; `None` if it has none.
fn body_end(code: &str) -> Option<usize> {
    let mut depth = 0_i32;
    let mut in_body = false;
    for (at, c) in code.char_indices() {
        match c {
            ';' if depth == 0 => return None,
            '{' if depth == 0 => {
                in_body = true;
                depth += 1;
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth -= 1;
                if depth <= 0 && c == '}' && in_body {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}
