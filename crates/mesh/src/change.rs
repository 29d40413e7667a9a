//! What every command that changes an app's plan does: write the next one, then show how it is carried out.

use genome::Plan;
use mycelium::api::PlanAt;
use types::AppName;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::rollout::{self, Waiting};
use crate::signals;

/// Changes the plan of `app` and waits as asked. When nothing would change it says `unchanged` and does nothing.
pub fn plan(
    context: &Context,
    app: &AppName,
    waiting: &Waiting,
    unchanged: &str,
    edit: impl Fn(&PlanAt) -> Result<Option<Plan>, Failure>,
) -> Result<Code, Failure> {
    let operator = Operator::open(context, waiting.key())?;
    context.block_on(async {
        // From here on Ctrl-C ends the watching: what is written is written.
        let asked = signals::listen(true)?;
        let events = rollout::events(operator.client(), Some(app)).await?;
        match operator.change_plan(app, edit).await? {
            Some(written) => {
                rollout::follow(context, operator.client(), events, &written, waiting, asked).await
            }
            None => {
                context.out.note(unchanged);
                Ok(Code::Ok)
            }
        }
    })
}
