//! The first start in a state folder: an operator's key, if this person has none, and the mesh's identity.

use std::process::{Command, Stdio};

use mycelium::{Paths, identity};
use types::PublicKey;

use crate::context::Context;
use crate::daemon::program;
use crate::failure::Failure;
use crate::operator;

/// Makes what isn't there yet, visibly.
pub fn start(context: &Context, paths: &Paths) -> Result<(), Failure> {
    if !matches!(identity::load(paths), Err(identity::IdentityError::Missing(_))) {
        return Ok(());
    }
    paths.claim()?;
    let (_, created) = identity::ensure(paths, &operator(context, paths)?)?;
    if created {
        context.out.note(format_args!("created mesh in {}", paths.state.display()));
    }
    Ok(())
}

/// The public half of the operator's key. The secret one is read, or made, by a process of its own.
fn operator(context: &Context, paths: &Paths) -> Result<PublicKey, Failure> {
    let mut command = Command::new(program()?);
    if context.state_flag().is_some() {
        command.arg("--state").arg(&paths.state);
    }
    command.args(["keys", "new", operator::KEY, "--if-missing"]);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| Failure::new(format_args!("failed to run `mesh keys new`: {e}")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(Failure::new("there is no operator's key to make a mesh with"));
    }
    soul::public_key_from_text(&text).map_err(|e| Failure::new(format_args!("the operator's key: {e}")))
}
