//! `mesh policy test`: as `opa test` runs them, each test in a process that limits itself.

use std::path::Path;

use policy::{Outcome, Tested};
use serde_json::json;

use super::{evaluator, failed, files};
use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::out::Paint;

pub(super) fn run(context: &Context, dir: &Path, json: bool) -> Result<Code, Failure> {
    let modules = files::modules(dir)?;
    let tested = evaluator()?.test(&modules).map_err(|error| failed(&error))?;
    if tested.is_empty() {
        return Err(Failure::usage(format_args!("{} has no test", dir.display()))
            .hint("a test is a rule whose name begins with test_, such as: test_owner if …"));
    }
    let bad = tested.iter().filter(|of| of.outcome != Outcome::Passed).count();
    if json {
        let rows = tested.iter().map(|Tested { module, rule, outcome }| {
            let (result, error) = match outcome {
                Outcome::Passed => ("passed", None),
                Outcome::Failed => ("failed", None),
                Outcome::Error(why) => ("error", Some(why)),
            };
            json!({ "file": module, "rule": rule, "result": result, "error": error })
        });
        context.out.json(&rows.collect::<Vec<_>>())?;
    } else {
        for of in &tested {
            context.out.line(row(context, of))?;
        }
        context.out.line(format_args!("{} passed, {bad} failed", tested.len() - bad))?;
    }
    Ok(if bad == 0 { Code::Ok } else { Code::Failure })
}

fn row(context: &Context, of: &Tested) -> String {
    let Tested { module, rule, outcome } = of;
    let paint = |paint, text| context.out.paint(paint, text);
    match outcome {
        Outcome::Passed => format!("{}   {module}: {rule}", paint(Paint::Green, "pass")),
        Outcome::Failed => format!("{}   {module}: {rule}", paint(Paint::Red, "FAIL")),
        Outcome::Error(why) => format!("{}  {module}: {rule}: {why}", paint(Paint::Red, "ERROR")),
    }
}
