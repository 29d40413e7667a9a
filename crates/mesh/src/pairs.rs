//! `NAME=VALUE`, as environment and labels are written.

use std::collections::BTreeMap;
use std::str::FromStr;

/// A name and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// What stands before the first `=`.
    pub name: String,
    /// All that stands after it.
    pub value: String,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, _)) if name.contains(|c: char| c.is_whitespace() || c.is_control()) => {
                Err(format!("the name {name:?} holds a space"))
            }
            Some((name, value)) if !name.is_empty() => {
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err(format!("{text:?} is not NAME=VALUE")),
        }
    }
}

/// All of them; of two with one name the last counts.
pub fn map(pairs: &[Pair]) -> BTreeMap<String, String> {
    pairs.iter().map(|pair| (pair.name.clone(), pair.value.clone())).collect()
}
