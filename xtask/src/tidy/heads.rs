//! Heads: every file says first what it is, why, and what it never does; a library also in which organ we are.

use crate::tree::File;
use crate::violation::Violation;

pub fn check(files: &[File]) -> Vec<Violation> {
    files.iter().filter(|file| file.is_rust()).filter_map(check_file).collect()
}

fn check_file(file: &File) -> Option<Violation> {
    let first = file.text.lines().next().unwrap_or_default();
    if file.path.ends_with("mod.rs") {
        let what = "mod.rs; name it after its folder: foo.rs beside foo/";
        return Some(Violation::new(&file.path, 1, what));
    }
    if !first.starts_with("//!") && !file.path.ends_with("tests.rs") {
        let what = "no `//!` at the head; say what this file is for, and what it never does";
        return Some(Violation::new(&file.path, 1, what));
    }
    let organ = file.organ().filter(|organ| file.path.ends_with(format!("{organ}/src/lib.rs")))?;
    let opening = format!("//! {}{}: ", organ[..1].to_uppercase(), &organ[1..]);
    (!first.starts_with(&opening)).then(|| {
        Violation::new(&file.path, 1, format!("a library opens with both its words: `{opening}<field term>`"))
    })
}
