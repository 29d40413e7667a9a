//! Following rollouts until all is ready, or it is clear that it won't be.

mod verdict;

use std::time::Duration;

use genome::Revision;
use mycelium::api::{AppStatus, EventQuery, PlanAt};
use mycelium::client::{Client, Lines};
use telemetry::Event;
use tokio::time::{Instant, sleep, sleep_until};
use types::AppName;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::operator::Written;
use crate::progress::Step;
use crate::signals::Asked;
use crate::span::{Span, short};
use crate::view;
use verdict::{Verdict, judge};

/// How often the state is asked for when no event says that it changed.
const REFRESH: Duration = Duration::from_millis(250);
/// How long nothing may be on its way before it counts as stuck.
const STUCK: Duration = Duration::from_secs(3);

/// How a command that changes a plan waits.
#[derive(Debug, Clone, clap::Args)]
pub struct Waiting {
    /// Return as soon as the mesh has taken it
    #[arg(long)]
    no_wait: bool,
    /// How long to wait for it
    #[arg(long, value_name = "TIME", default_value = "5m")]
    timeout: Span,
    /// Sign with this key of yours, or key file, instead of the operator's
    #[arg(long, value_name = "NAME|FILE")]
    operator: Option<String>,
}

impl Waiting {
    /// The key that signs.
    pub fn key(&self) -> Option<&str> {
        self.operator.as_deref()
    }
}

/// A rollout that is waited for.
pub struct Want {
    app: AppName,
    generation: u64,
    revision: Revision,
    stuck_since: Option<Instant>,
    progress: String,
    /// How it ended.
    ended: Option<Result<Box<AppStatus>, Failure>>,
}

impl Want {
    /// The rollout of what was written.
    pub fn of(written: &Written) -> Self {
        let plan = &written.plan;
        Self::new(plan.app_name.clone(), written.generation, plan.release.revision())
    }

    /// The rollout of the plan as it stands, if there is one.
    pub fn current(app: &AppName, at: &PlanAt) -> Option<Self> {
        let revision = at.plan.as_ref()?.release.revision();
        Some(Self::new(app.clone(), at.generation, revision))
    }

    fn new(app: AppName, generation: u64, revision: Revision) -> Self {
        Self { app, generation, revision, stuck_since: None, progress: String::new(), ended: None }
    }

    /// Takes note of how the app is now.
    fn look(&mut self, status: AppStatus) {
        match judge(&status, self.generation, &self.revision) {
            Verdict::Done => self.ended = Some(Ok(Box::new(status))),
            Verdict::Over(failure) => self.ended = Some(Err(failure)),
            Verdict::Going(how) => {
                self.progress = how;
                self.stuck_since = None;
            }
            Verdict::Stuck(why) => {
                if self.stuck_since.get_or_insert_with(Instant::now).elapsed() >= STUCK {
                    let app = &self.app;
                    let failure = Failure::new(format_args!("{app} is not ready: {why}"))
                        .hint(format_args!("the mesh goes on trying; `mesh why {app}` says more"));
                    self.ended = Some(Err(failure));
                }
            }
        }
    }
}

/// The events from now on, of one app or all. Opened before a plan is written, they miss nothing.
pub async fn events(client: &Client, app: Option<&AppName>) -> Result<Lines<Event>, Failure> {
    let query = EventQuery { tail: Some(0), follow: true, app: app.cloned(), since: 0 };
    Ok(client.events(&query).await?)
}

/// Shows how `written` is carried out; returns when it is, or fails with what is in its way.
pub async fn follow(
    context: &Context,
    client: &Client,
    events: Lines<Event>,
    written: &Written,
    waiting: &Waiting,
    asked: Asked,
) -> Result<Code, Failure> {
    let app = &written.plan.app_name;
    context.out.note(format_args!("plan {} of {app} is written ({})", written.generation, written.safe));
    if waiting.no_wait {
        return Ok(Code::Ok);
    }
    let mut wants = [Want::of(written)];
    tokio::select! {
        settled = settle(context, client, events, &mut wants) => settled?,
        () = asked.times(1) => {
            return Err(Failure::new(format_args!("stopped watching; the mesh goes on with {app}"))
                .code(Code::Interrupted)
                .hint(format_args!("`mesh status` shows how it goes, `mesh rollback {app}` undoes it")));
        }
        () = sleep(waiting.timeout.0) => return Err(too_late(app, waiting.timeout)),
    }
    let [Want { ended, .. }] = wants;
    if let Some(ended) = ended {
        context.out.line(line(&*ended?))?;
    }
    Ok(Code::Ok)
}

/// A rollout that took too long.
fn too_late(app: &AppName, timeout: Span) -> Failure {
    Failure::new(format_args!("{app} is not ready after {}; the mesh goes on with it", short(timeout.0)))
        .code(Code::Timeout)
        .hint(format_args!("`mesh why {app}` says what it waits for"))
}

/// Waits until each of `wants` has ended, well or not, and shows how they go.
pub async fn settle(
    context: &Context,
    client: &Client,
    events: Lines<Event>,
    wants: &mut [Want],
) -> Result<(), Failure> {
    let names: Vec<&str> = wants.iter().map(|want| want.app.as_str()).collect();
    let step = Step::start(&context.out, &format!("rolling out {}", names.join(", ")));
    let mut events = Some(events);
    loop {
        let open = wants.iter_mut().filter(|want| want.ended.is_none());
        for want in open {
            want.look(client.app(&want.app).await?);
            match &want.ended {
                Some(Ok(status)) => {
                    step.good(&format!("{} {} is {}", want.app, status.version, word(status)))
                }
                Some(Err(_)) => step.bad(&format!("{} failed", want.app)),
                None => {}
            }
        }
        let going: Vec<_> = wants.iter().filter(|want| want.ended.is_none()).collect();
        if going.is_empty() {
            step.over();
            return Ok(());
        }
        let text: Vec<_> = going.iter().map(|want| format!("{} {}", want.app, want.progress)).collect();
        step.now(format!("rolling out: {}", text.join(", ")));
        let event = tokio::select! {
            event = next(&mut events) => event,
            () = sleep_until(Instant::now() + REFRESH) => None,
        };
        if let Some(event) = event {
            step.say(&view::event_short(&context.out, &event));
        }
    }
}

/// How each of them ended, those that did not in `timeout` among them.
pub fn ended(wants: Vec<Want>, timeout: Span) -> impl Iterator<Item = Result<Box<AppStatus>, Failure>> {
    wants.into_iter().map(move |want| want.ended.unwrap_or_else(|| Err(too_late(&want.app, timeout))))
}

/// The next event; never when there are none any more.
pub async fn next(events: &mut Option<Lines<Event>>) -> Option<Event> {
    if let Some(lines) = events {
        match lines.next().await {
            Ok(Some(event)) => return Some(event),
            // A successor has taken over: the state is still asked for.
            Ok(None) | Err(_) => *events = None,
        }
    }
    std::future::pending().await
}

fn line(status: &AppStatus) -> String {
    let url = status.url.as_deref().unwrap_or_default();
    let text = format!(
        "{} {} {} {}/{} {url}",
        status.app_name,
        status.version,
        word(status),
        status.ready,
        status.wanted
    );
    text.trim_end().to_owned()
}

fn word(status: &AppStatus) -> &'static str {
    view::state_word(status.state)
}
