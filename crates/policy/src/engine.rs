//! The engine: a question answered with `regorus`. Strict: what can't be computed is an error, and never "not denied".

use std::collections::BTreeSet;

use regorus::Engine;
use serde_json::Value;

use crate::wire::{Answer, Ask, Module, Outcome, Question, Tested};
use crate::{DENY, MAX_MODULES, MAX_REASON_BYTES, MAX_REASONS};

/// What a rule must be called to be a test.
const TEST: &str = "test_";

/// Answers a question.
pub(crate) fn answer(question: Question) -> Answer {
    let answered = match &question.ask {
        Ask::Check => {
            load(&question.modules, None).and_then(|mut engine| deny(&mut engine)).map(|_| Answer::Checked)
        }
        Ask::Deny(input) => {
            load(&question.modules, Some(input)).and_then(|mut engine| deny(&mut engine)).map(Answer::Reasons)
        }
        Ask::Tests => tests(&question.modules).map(Answer::Tests),
        Ask::Test(of) => test(&question.modules, of).map(|tested| Answer::Tests(vec![tested])),
    };
    answered.unwrap_or_else(Answer::Error)
}

fn load(modules: &[Module], input: Option<&Value>) -> Result<Engine, String> {
    if modules.len() > MAX_MODULES {
        return Err(format!("{} policies are more than {MAX_MODULES}", modules.len()));
    }
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(true);
    for module in modules {
        engine.add_policy(module.name.clone(), module.rego.clone()).map_err(|e| brief(&e))?;
    }
    let input = input.map_or_else(|| "{}".to_owned(), Value::to_string);
    engine.set_input_json(&input).map_err(|e| brief(&e))?;
    Ok(engine)
}

/// The values of `deny`, as texts, in their order.
fn deny(engine: &mut Engine) -> Result<Vec<String>, String> {
    let found = engine.eval_rule(DENY.to_owned()).map_err(|error| match error.to_string().as_str() {
        "not a valid rule path" => "no policy has a rule `deny` in `package mesh.admission`".to_owned(),
        _ => brief(&error),
    })?;
    let values = match value(&found)? {
        None => {
            return Err("`deny` of mesh.admission is undefined: write `deny contains reason if …`".to_owned());
        }
        Some(Value::Array(values)) => values,
        Some(_) => {
            return Err("`deny` of mesh.admission is no set: write `deny contains reason if …`".to_owned());
        }
    };
    let more = values.len().saturating_sub(MAX_REASONS);
    let mut reasons: Vec<String> = values.into_iter().take(MAX_REASONS).map(reason).collect();
    if more > 0 {
        reasons.push(format!("… and {more} more reasons"));
    }
    Ok(reasons)
}

/// A value as JSON, sets as arrays; `None` for what is undefined.
fn value(value: &regorus::Value) -> Result<Option<Value>, String> {
    if *value == regorus::Value::Undefined {
        return Ok(None);
    }
    let text = value.to_json_str().map_err(|e| brief(&e))?;
    serde_json::from_str(&text).map(Some).map_err(|e| e.to_string())
}

/// A text stands for itself, an object with a `msg` for that (as Gatekeeper's do), anything else for its JSON.
fn reason(value: Value) -> String {
    let mut text = match value {
        Value::String(text) => text,
        Value::Object(ref object) => match object.get("msg") {
            Some(Value::String(text)) => text.clone(),
            _ => value.to_string(),
        },
        other => other.to_string(),
    };
    if text.len() > MAX_REASON_BYTES {
        let end = (0..=MAX_REASON_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Every rule whose name begins with `test_`, as `opa test` finds them.
fn tests(modules: &[Module]) -> Result<Vec<Tested>, String> {
    let mut engine = load(modules, None)?;
    let packages = engine.get_packages().map_err(|e| brief(&e))?;
    let mut found = Vec::new();
    for (module, package) in modules.iter().zip(packages) {
        for name in words(&module.rego) {
            if !engine.has_declared_rule_rooted_at(&module.name, name).unwrap_or(false) {
                continue;
            }
            let package = package.trim_start_matches("data.");
            let (module, rule) = (module.name.clone(), format!("{package}.{name}"));
            found.push(Tested { module, rule, outcome: Outcome::Failed });
        }
    }
    // All of it must compile, or there is nothing to be said about any test.
    match engine.eval_rule("data.mesh.nothing".to_owned()) {
        Err(error) if error.to_string() != "not a valid rule path" => Err(brief(&error)),
        _ => Ok(found),
    }
}

/// Whatever may be the name of a test in a text; whether it is one, the parsed module says.
fn words(rego: &str) -> BTreeSet<&str> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    rego.split(|c| !part(c)).filter(|word| word.starts_with(TEST)).collect()
}

fn test(modules: &[Module], of: &Tested) -> Result<Tested, String> {
    let mut engine = load(modules, None)?;
    let outcome = match engine.eval_rule(format!("data.{}", of.rule)) {
        Err(error) => Outcome::Error(brief(&error)),
        Ok(regorus::Value::Undefined | regorus::Value::Bool(false)) => Outcome::Failed,
        Ok(_) => Outcome::Passed,
    };
    Ok(Tested { outcome, ..of.clone() })
}

/// What the engine says in five lines (where, the source, what), in one: `owner.rego:7:12: could not …`.
fn brief(error: &impl ToString) -> String {
    let text = error.to_string();
    let after = |mark: &str| text.lines().find_map(|line| line.trim_start().strip_prefix(mark));
    match (after("--> "), after("error: ")) {
        (Some(place), Some(what)) => format!("{place}: {what}"),
        _ => text.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}
