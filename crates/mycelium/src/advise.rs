//! What the mesh advises for an app: what `auto` would give its replicas, and on what that is based.

use agent::Decided;
use cortex::SizedBy;
use genome::{Learned, Plan, Size};
use nutrients::learn::{Histogram, Needs};
use types::AppName;

use crate::api::{Advice, Evidence, Spread};

/// The advice for an app; `None` without a plan.
pub(crate) fn advise(decided: &Decided, app: &AppName) -> Option<Advice> {
    let plan = &decided.view.plans.get(app)?.value;
    let decision = decided.decision.apps.get(app)?;
    let release = &decision.release;
    let records: Vec<&Learned> = decided.view.learned_of(app).map(|learned| &**learned).collect();
    let budget = decided.view.budgets.get(app).map(|entry| &*entry.value);
    let auto = Plan { size: Some(Size::Auto), ..(**plan).clone() };
    let sizing = cortex::sizing(&auto, release, None, &records, budget);
    let (needs, nodes) = cortex::known(records.iter().copied(), &release.digest);
    Some(Advice {
        app_name: app.clone(),
        digest: release.digest,
        version: release.version.clone(),
        now: decision.sizing.each,
        now_because: decision.sizing.to_string(),
        manifest: release.nutrients,
        auto: plan.size == Some(Size::Auto),
        advised: matches!(sizing.by, SizedBy::Learned(_)).then_some(sizing.each),
        held: sizing.held,
        evidence: evidence(&needs, nodes),
    })
}

fn evidence(needs: &Needs, nodes: u32) -> Evidence {
    Evidence {
        nodes,
        samples: needs.samples,
        observed_s: needs.observed_s,
        enough_permille: needs.enough_permille,
        oom_kills: needs.oom_kills,
        cpu_milli: spread(&needs.cpu),
        memory_mb: spread(&needs.memory),
        ready_ms: spread(&needs.ready),
    }
}

fn spread(of: &Histogram) -> Option<Spread> {
    Some(Spread {
        p50: of.quantile(500)?,
        p90: of.quantile(900)?,
        p95: of.quantile(950)?,
        p99: of.quantile(990)?,
        max: of.max()?,
    })
}
