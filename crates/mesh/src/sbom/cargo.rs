//! `Cargo.lock`: every package that a build may use; of a workspace, those that one program's package leads to.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Found, Library, encoded};

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// Reads a lock file; `names` are what the program's package may be called.
pub(super) fn read(text: &str, names: &[&str]) -> Result<Found, String> {
    let lock: Lock = toml::from_str(text).map_err(|e| e.message().to_owned())?;
    let own = |name: &&&str| lock.package.iter().position(|of| of.name == ***name && of.source.is_none());
    let root = names.iter().find_map(|name| own(&name));
    let used: BTreeSet<usize> = match root {
        Some(root) => reached(&lock.package, root)?,
        None => (0..lock.package.len()).collect(),
    };
    let libraries =
        used.iter().filter(|at| Some(**at) != root).map(|at| library(&lock.package[*at])).collect();
    let covers = match root {
        Some(root) => format!(
            "what the package {} leads to, with dependencies of its build and tests and of other platforms",
            lock.package[root].name
        ),
        None => "every package of the workspace, whether this program uses it or not".to_owned(),
    };
    Ok(Found { libraries, source: "Cargo.lock".to_owned(), covers })
}

fn library(package: &Package) -> Library {
    Library {
        name: package.name.clone(),
        version: Some(package.version.clone()),
        purl: format!("pkg:cargo/{}@{}", encoded(&package.name), encoded(&package.version)),
        hash: package.checksum.clone().filter(|sum| is_hex(sum, 64)).map(|sum| ("SHA-256", sum)),
    }
}

pub(super) fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The packages that `root` leads to, itself among them. A dependency is written as shortly as it is unique: `name`,
/// `name version`, `name version (source)`.
fn reached(packages: &[Package], root: usize) -> Result<BTreeSet<usize>, String> {
    let mut named: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, package) in packages.iter().enumerate() {
        named.entry(&package.name).or_default().push(at);
    }
    let mut reached = BTreeSet::from([root]);
    let mut open = vec![root];
    while let Some(at) = open.pop() {
        for wanted in &packages[at].dependencies {
            let mut words = wanted.split(' ');
            let (name, version) = (words.next().unwrap_or_default(), words.next());
            let fits = |at: &&usize| version.is_none_or(|version| packages[**at].version == version);
            let mut any = false;
            for at in named.get(name).into_iter().flatten().filter(fits) {
                any = true;
                if reached.insert(*at) {
                    open.push(*at);
                }
            }
            if !any {
                return Err(format!("{:?} depends on {wanted:?}, which is not in it", packages[at].name));
            }
        }
    }
    Ok(reached)
}
