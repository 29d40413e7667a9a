//! What goes to the process that evaluates, and what comes back: JSON, one document each way.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A file of Rego.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// What it is called in errors.
    pub name: String,
    /// Its text.
    pub rego: String,
}

/// How one test ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    /// The module that it stands in.
    pub module: String,
    /// The rule, with its package: `mesh.admission.test_owner`.
    pub rule: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a test can end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is true.
    Passed,
    /// It is not.
    Failed,
    /// It could not be evaluated; why.
    Error(String),
}

/// A question.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) modules: Vec<Module>,
    pub(crate) ask: Ask,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ask {
    /// Whether all of it compiles, and has a rule `deny` in the package of admission.
    Check,
    /// The values of `deny` for this input.
    Deny(Value),
    /// The tests that there are.
    Tests,
    /// How one of them ends.
    Test(Tested),
}

/// An answer. Errors are those of the policy: it doesn't compile, or a value can't be computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    Checked,
    Reasons(Vec<String>),
    Tests(Vec<Tested>),
    Error(String),
}
