//! Labels: what nodes say of themselves, and what plans ask of them.
//!
//! A plan's constraints are a map, so that each is a pair of texts: `zone` = `a,b` asks for one of two values,
//! `gpu!` = `no` (written `gpu!=no`) for any value but this one, or none at all.

use std::collections::BTreeMap;
use std::fmt;

use crate::Invalid;

/// The most bytes of a name or of one value.
const MAX_BYTES: usize = 253;
/// The most labels of a node, constraints of a plan, and values of a constraint.
const MAX_COUNT: usize = 64;

/// One constraint of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Constraint<'a> {
    name: &'a str,
    values: &'a str,
    excludes: bool,
}

impl<'a> Constraint<'a> {
    /// All of `constraints`, in the order of their names.
    pub fn all(constraints: &'a BTreeMap<String, String>) -> impl Iterator<Item = Self> {
        constraints.iter().map(|(name, values)| Self::of(name, values))
    }

    /// What an entry of a plan's constraints means; any means something.
    #[must_use]
    pub fn of(name: &'a str, values: &'a str) -> Self {
        let excluded = name.strip_suffix('!');
        Self { name: excluded.unwrap_or(name), values, excludes: excluded.is_some() }
    }

    /// The label it is about.
    #[must_use]
    pub const fn label(&self) -> &'a str {
        self.name
    }

    /// Whether a label of this value will do, or its absence.
    #[must_use]
    pub fn takes(&self, value: Option<&str>) -> bool {
        let listed = value.is_some_and(|value| self.values.split(',').any(|one| one == value));
        listed != self.excludes
    }

    /// Whether a node with these labels will do.
    #[must_use]
    pub fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        self.takes(labels.get(self.name).map(String::as_str))
    }

    /// Whether it can be meant.
    pub fn validate(&self) -> Result<(), Invalid> {
        let refuse = |why: String| Err(Invalid::new("constraints", format!("{self}: {why}")));
        if let Err(why) = check_name(self.name) {
            return refuse(why);
        }
        if let Some(value) = self.values.strip_prefix('!') {
            return refuse(format!("to exclude a value, write {}!={value}", self.name));
        }
        if self.values.split(',').count() > MAX_COUNT {
            return refuse(format!("more than {MAX_COUNT} values"));
        }
        self.values.split(',').try_for_each(check_value).or_else(refuse)
    }
}

impl fmt::Display for Constraint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}={}", self.name, if self.excludes { "!" } else { "" }, self.values)
    }
}

/// Whether all of a plan's constraints can be meant.
pub(crate) fn validate_constraints(constraints: &BTreeMap<String, String>) -> Result<(), Invalid> {
    if constraints.len() > MAX_COUNT {
        return Err(Invalid::new("constraints", format!("more than {MAX_COUNT}")));
    }
    Constraint::all(constraints).try_for_each(|constraint| constraint.validate())
}

/// Whether a node or a plan can have these labels. Some are the machine's own (`host`), so any text goes that is no flood.
pub(crate) fn validate_labels(labels: &BTreeMap<String, String>) -> Result<(), Invalid> {
    if labels.len() > MAX_COUNT {
        return Err(Invalid::new("labels", format!("more than {MAX_COUNT}")));
    }
    let long = labels.iter().find(|(name, value)| name.len().max(value.len()) > MAX_BYTES);
    match long {
        Some((name, _)) => {
            let name: String = name.chars().take(40).collect();
            Err(Invalid::new("labels", format!("{name}: longer than {MAX_BYTES} bytes")))
        }
        None => Ok(()),
    }
}

/// Whether a person can give a node this label: one that a constraint can ask for.
pub fn check_label(name: &str, value: &str) -> Result<(), Invalid> {
    let checked = check_name(name).and_then(|()| check_value(value));
    checked.map_err(|why| Invalid::new("label", format!("{name}={value}: {why}")))
}

fn check_name(name: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    match name.len() {
        0 => Err("a label has a name".to_owned()),
        bytes if bytes > MAX_BYTES => Err(format!("the name is longer than {MAX_BYTES} bytes")),
        _ if name.chars().all(fine) => Ok(()),
        _ => Err("a name is of letters, digits, '.', '_', '-' and '/'".to_owned()),
    }
}

fn check_value(value: &str) -> Result<(), String> {
    match value.len() {
        0 => Err("a value is empty".to_owned()),
        bytes if bytes > MAX_BYTES => Err(format!("a value is longer than {MAX_BYTES} bytes")),
        _ if value.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, ',' | '=' | '!')) => {
            Err(format!("{value:?} is not a value: it holds a space, ',', '=' or '!'"))
        }
        _ => Ok(()),
    }
}
