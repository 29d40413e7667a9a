//! Files that hold one idea, and a ground floor that stays small.

use crate::tidy::Crate;
use crate::tree::File;
use crate::violation::Violation;

/// The most lines of a file.
const MAX_FILE: usize = 500;
/// The most lines of the crate everything stands on, its tests left out.
const MAX_GROUND: usize = 1_000;

pub fn check(files: &[File], crates: &[Crate]) -> Vec<Violation> {
    let lines = |file: &File| file.text.lines().count();
    let mut all = Vec::new();
    for file in files.iter().filter(|file| file.is_rust() && lines(file) > MAX_FILE) {
        let what = format!("{} lines, more than {MAX_FILE}; split it by idea", lines(file));
        all.push(Violation::new(&file.path, MAX_FILE + 1, what));
    }
    for ground in crates.iter().filter(|c| c.floor == Some(0)) {
        let of_ground =
            |file: &&File| file.is_rust() && !file.is_test() && file.organ() == Some(&ground.name);
        let sum: usize = files.iter().filter(of_ground).map(lines).sum();
        if sum > MAX_GROUND {
            let what = format!(
                "{sum} lines on the ground floor, more than {MAX_GROUND}; move what has one user up to it"
            );
            all.push(Violation::new(&ground.manifest, 1, what));
        }
    }
    all
}
