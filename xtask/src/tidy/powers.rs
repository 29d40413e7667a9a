//! Powers: which crates may touch which part of the outside world. Tests may do anything.
//!
//! Where a rule makes the code worse, break it and say why on the same line: `// tidy: it only bounds a wait`.

use crate::lex::{code_only, is_word};
use crate::tidy::Crate;
use crate::tree::File;
use crate::violation::Violation;

/// What a line says that breaks a rule for a reason.
const EXCUSE: &str = "// tidy: ";

/// Who may use something.
enum Only {
    /// These crates.
    These(&'static [&'static str]),
    /// All but the pure ones: floors 0 and 1, fabric, cortex.
    Impure,
}

struct Power {
    /// Paths in code, as they are written there.
    uses: &'static [&'static str],
    only: Only,
    instead: &'static str,
}

const POWERS: [Power; 6] = [
    Power {
        uses: &["Command::new"],
        only: Only::These(&["membrane", "mesh"]),
        instead: "only membrane starts processes (and mesh runs builds); ask the keeper",
    },
    Power {
        uses: &["env::var", "env::var_os", "env::vars", "env::vars_os"],
        only: Only::These(&["mesh", "mycelium", "membrane"]),
        instead: "only mesh and mycelium read the environment; take it as an argument",
    },
    Power {
        uses: &["env::args", "env::args_os"],
        only: Only::These(&["mesh"]),
        instead: "only mesh reads its arguments",
    },
    Power {
        uses: &[
            "TcpListener::bind",
            "TcpStream::connect",
            "UdpSocket::bind",
            "UnixListener::bind",
            "UnixStream::connect",
        ],
        only: Only::These(&["membrane", "hyphae", "scent", "agent", "edge", "relay", "mycelium", "mesh"]),
        instead: "this crate opens no sockets (see ARCHITECTURE.md); take a stream, or leave it to a higher floor",
    },
    Power {
        uses: &["SystemTime::now", "Instant::now"],
        only: Only::Impure,
        instead: "this crate is pure; take `now` as an argument",
    },
    Power {
        uses: &["HashMap", "HashSet"],
        only: Only::Impure,
        instead: "this crate is pure, and the order of a hash map isn't; use BTreeMap or BTreeSet",
    },
];

pub fn check(files: &[File], crates: &[Crate]) -> Vec<Violation> {
    let mut all = Vec::new();
    for file in files.iter().filter(|file| file.is_rust() && !file.is_test()) {
        let Some(organ) = file.organ().and_then(|name| crates.iter().find(|c| c.name == name)) else {
            continue;
        };
        let code = code_only(&file.text);
        for power in POWERS.iter().filter(|power| !power.only.allows(organ)) {
            for used in power.uses {
                let found = code.match_indices(used).filter(|(at, _)| is_whole(&code, *at, used.len()));
                let lines = found.map(|(at, _)| file.line_at(at)).filter(|line| !is_excused(file, *line));
                all.extend(
                    lines.map(|line| Violation::new(&file.path, line, format!("{used}: {}", power.instead))),
                );
            }
        }
    }
    all
}

impl Only {
    fn allows(&self, organ: &Crate) -> bool {
        match self {
            Self::These(names) => names.contains(&&*organ.name),
            Self::Impure => !organ.is_pure(),
        }
    }
}

fn is_excused(file: &File, line: usize) -> bool {
    file.text.lines().nth(line - 1).is_some_and(|text| text.contains(EXCUSE))
}

fn is_whole(code: &str, at: usize, length: usize) -> bool {
    let before = code[..at].chars().next_back();
    let after = code[at + length..].chars().next();
    !before.is_some_and(is_word) && !after.is_some_and(is_word)
}
