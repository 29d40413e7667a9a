//! Newer secrets and configs for a replica that runs on: by a signal, where the plan says so.
//!
//! A replica whose release differs from the wanted one by nothing but their versions becomes one of that release. Where it
//! can't, it is replaced, as without a signal.

use cortex::Assignment;
use genome::{Revision, Settings};
use telemetry::EventKind;
use types::ReplicaName;

use super::Core;
use super::message::{Action, LaunchId, Unprepared};
use super::replica::{Renewal, cut};

impl Core {
    /// The one of these replicas that can become what is wanted, if one can.
    pub(super) fn renewable(&self, members: &[ReplicaName], wanted: &Assignment) -> Option<ReplicaName> {
        wanted.release.settings.rotate?;
        let body = wanted.release.body();
        let fits = |name: &&ReplicaName| {
            self.replicas.get(*name).is_some_and(|replica| {
                replica.is_ready()
                    && replica.launch.body.as_ref() == Some(&body)
                    && !matches!(&replica.renewal, Renewal::Impossible(of) if *of == wanted.revision)
            })
        };
        members.iter().find(fits).cloned()
    }

    /// Has a replica given what is wanted of it, unless that is under way.
    pub(super) fn renew(&mut self, name: &ReplicaName, wanted: &Assignment) {
        let now = self.now.mono;
        let Some(replica) = self.replicas.get_mut(name) else { return };
        match replica.renewal {
            Renewal::Asked => return,
            Renewal::Waits { until } if until > now => return,
            _ => replica.renewal = Renewal::Asked,
        }
        let launch = Box::new(replica.launch.clone());
        self.act(Action::Renew(launch, Box::new(wanted.clone())));
    }

    pub(super) fn renewed(
        &mut self,
        id: &LaunchId,
        revision: Revision,
        result: Result<Settings, Unprepared>,
    ) {
        let (now, again) = (self.now.mono, self.now.mono + self.timing.backoff_min);
        let Some(replica) = self.current(id).filter(|replica| replica.renewal == Renewal::Asked) else {
            return;
        };
        let app = replica.launch.app.clone();
        match result {
            Ok(settings) => {
                replica.renewal = Renewal::Idle;
                replica.message.clear();
                // What it does with them it has yet to show, as after a start.
                if replica.is_ready() {
                    (replica.ready_at, replica.warm, replica.proven) = (Some(now), false, false);
                }
                replica.launch.revision = revision;
                let before = std::mem::replace(&mut replica.launch.settings, settings.clone());
                let (slot, ready) = (replica.launch.slot, replica.is_ready());
                self.tell_of_renewal(id, (&before, &settings));
                if ready {
                    self.withdraw_of(&app, slot);
                }
            }
            Err(Unprepared::Missing(why) | Unprepared::Failed(why)) => {
                replica.renewal = Renewal::Waits { until: again };
                replica.message = cut(&why);
            }
            Err(Unprepared::Refused(why)) => {
                replica.renewal = Renewal::Impossible(revision);
                let message =
                    format!("it can't be given newer files while it runs, so it is replaced: {why}");
                self.emit(EventKind::Renewed, &app, Some(&id.replica), message);
            }
        }
    }

    /// Each secret that is new is a delivery.
    fn tell_of_renewal(&mut self, id: &LaunchId, (before, now): (&Settings, &Settings)) {
        let Some(replica) = self.replicas.get(&id.replica) else { return };
        let (app, pid) = (replica.launch.app.clone(), replica.pid.unwrap_or(0));
        let mut files = Vec::new();
        for (name, version) in
            now.secrets.iter().filter(|(name, new)| before.secrets.get(*name) != Some(*new))
        {
            files.push(format!("/run/secrets/{name}"));
            let message = format!("version {version} of the secret {name}, as /run/secrets/{name}");
            self.emit(EventKind::SecretDelivered, &app, Some(&id.replica), message);
        }
        let configs = now.config.iter().filter(|(name, new)| before.config.get(*name) != Some(*new));
        files.extend(configs.map(|(name, _)| format!("/run/config/{name}")));
        let message = format!("pid {pid} was told to read {} anew", files.join(", "));
        self.emit(EventKind::Renewed, &app, Some(&id.replica), message);
    }
}
