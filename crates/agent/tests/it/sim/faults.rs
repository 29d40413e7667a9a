//! What goes wrong, and what operators do meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use agent::{Adoption, Input, LaunchId};
use genome::{Budget, Exit, Plan, Release, Signal};
use types::{AppName, Digest, NodeName, Nutrients, SettingName, Workload};

use super::mesh::{Event, Mesh};
use super::node::Nature;

/// After this time nothing goes wrong any more.
pub const END_OF_FAULTS: Duration = Duration::from_secs(60);

pub enum Fault {
    Deploy(AppName),
    Publish(Box<Plan>),
    /// Newer values of what it reads, which it is told by a signal.
    Rotate(AppName),
    Remove(AppName),
    Budget(AppName),
    KillReplica,
    SickenReplica,
    CrashAgent(NodeName),
    StartAgent(NodeName),
    LoseKeeper(NodeName),
    LoseSpore,
    FindSpores,
    Trust(bool),
    SlowDrains(bool),
    /// A node is drained, or isn't any more.
    Drain(NodeName),
    /// The last one: everything is as it should be.
    Quiet,
}

impl Mesh {
    pub fn plan_faults(&mut self) {
        for app in self.apps.clone() {
            self.later(Duration::from_millis(10), Event::Fault(Fault::Deploy(app)));
        }
        for _ in 0..4 + self.chance.below(16) {
            let at = self.chance.millis(10, 55_000);
            let fault = self.any_fault();
            self.later(at, Event::Fault(fault));
        }
        self.later(END_OF_FAULTS, Event::Fault(Fault::Quiet));
    }

    fn any_fault(&mut self) -> Fault {
        let nodes: Vec<NodeName> = self.nodes.keys().cloned().collect();
        let (app, node) = (self.chance.pick(&self.apps).clone(), self.chance.pick(&nodes).clone());
        match self.chance.below(20) {
            0..=4 => Fault::Deploy(app),
            5 => Fault::Remove(app),
            6 => Fault::Budget(app),
            7 | 8 => Fault::KillReplica,
            9 => Fault::SickenReplica,
            10 | 11 => Fault::CrashAgent(node),
            12 => Fault::LoseKeeper(node),
            13 => Fault::LoseSpore,
            14 | 15 => Fault::Drain(node),
            16 | 17 => Fault::Rotate(app),
            18 => Fault::Trust(self.chance.one_in(2)),
            _ => Fault::SlowDrains(self.chance.one_in(2)),
        }
    }

    pub fn fault(&mut self, fault: Fault) -> Result<(), String> {
        match fault {
            Fault::Deploy(app) => self.deploy(&app),
            Fault::Rotate(app) => self.rotate(&app),
            Fault::Publish(plan) => {
                self.fabric.publish(*plan);
                self.stir();
            }
            Fault::Remove(app) => {
                self.tell(|| format!("the plan of {app} is removed"));
                self.fabric.plans.remove(&app);
                self.stir();
            }
            Fault::Budget(app) => {
                let max_instances = 1 + self.chance.below(4) as u32;
                self.tell(|| format!("{app} may have {max_instances}"));
                let budget =
                    Budget { app_name: app.clone(), max_instances, cpu_milli: 1_000, memory_mb: 1_000 };
                self.fabric.budgets.insert(app, budget);
                self.stir();
            }
            Fault::KillReplica => {
                if let Some((node, id)) = self.some_process() {
                    self.end(&node, &id, Exit::Signal(9));
                }
            }
            Fault::SickenReplica => {
                if let Some((node, id)) = self.some_process() {
                    self.tell(|| format!("{node} {id:?} falls ill"));
                    self.node(&node).processes.get_mut(&id).unwrap().sick = true;
                }
            }
            Fault::CrashAgent(node) => self.crash_agent(&node),
            Fault::StartAgent(node) => {
                if self.nodes[&node].core.is_none() {
                    self.tell(|| format!("the agent of {node} starts"));
                    self.start_agent(&node);
                }
            }
            Fault::LoseKeeper(node) => self.lose_keeper(&node)?,
            Fault::LoseSpore => {
                let digests: Vec<Digest> =
                    self.fabric.plans.values().map(|(_, plan)| plan.release.digest).collect();
                if !digests.is_empty() {
                    let lost = *self.chance.pick(&digests);
                    self.tell(|| format!("the spore {} is lost", lost.short()));
                    self.missing.insert(lost);
                    let until = self.chance.millis(100, 20_000);
                    self.later(until, Event::Fault(Fault::FindSpores));
                }
            }
            Fault::FindSpores => self.find_spores(),
            Fault::Trust(trusted) => self.trust(trusted),
            Fault::SlowDrains(slow) => self.slow_drains = slow,
            Fault::Drain(node) => self.drain(node),
            Fault::Quiet => self.quiet(),
        }
        Ok(())
    }

    fn rotate(&mut self, app: &AppName) {
        let Some((_, mut plan)) = self.fabric.plans.get(app).cloned() else { return };
        let settings = &mut plan.release.settings;
        settings.rotate = Some(Signal::Hup);
        *settings.config.entry(SettingName::new("features").unwrap()).or_default() += 1;
        self.tell(|| format!("{app} is to read newer files: {}", plan.release.revision()));
        self.fabric.publish(plan);
        self.stir();
    }

    fn release(&mut self, nature: Nature) -> Release {
        let number = self.chance.next();
        let digest = Digest::of(&number.to_be_bytes());
        self.natures.insert(digest, nature);
        Release {
            digest,
            version: format!("{nature:?}-{}", digest.short()),
            workload: Workload::Service,
            nutrients: Nutrients { cpu_milli: 1, memory_mb: 1 },
            port: 0,
            env: BTreeMap::new(),
            restart: 0,
            profile: None,
            reach: Vec::new(),
            settings: Default::default(),
        }
    }

    /// Nothing goes wrong; both apps are deployed shortly after each other. How many replicas there will be.
    pub fn calm(&mut self) -> usize {
        self.quiet = true;
        let mut replicas = 0;
        for app in self.apps.clone() {
            let good = self.release(Nature::Good);
            let mut plan = Plan::new(app, good, 1 + self.chance.below(12) as u32);
            (plan.warmup_ms, plan.grace_ms) = (0, 0);
            replicas += plan.min as usize;
            let at = self.chance.millis(5, 60);
            self.later(at, Event::Fault(Fault::Publish(Box::new(plan))));
        }
        replicas
    }

    fn deploy(&mut self, app: &AppName) {
        let nature = match self.chance.below(12) {
            0 => Nature::NeverReady,
            1 => Nature::Crashes,
            2 => Nature::Fragile,
            3 => Nature::Foreign,
            4 => Nature::Slow(self.chance.next() % 8_000),
            _ => Nature::Good,
        };
        let mut release = self.release(nature);
        match self.chance.below(10) {
            0 => release.port = 8_080,
            1 => release.workload = Workload::Worker,
            2 => release.workload = Workload::Job,
            _ => {}
        }
        // Sometimes the plan changes, and not what it runs; or it goes back to what ran before.
        if let Some((_, plan)) = self.fabric.plans.get(app)
            && self.chance.one_in(3)
        {
            let back = plan.previous.as_ref().filter(|_| self.chance.one_in(2));
            release = back.map_or_else(|| plan.release.clone(), |previous| previous.release.clone());
        }
        self.publish(app, release);
    }

    fn publish(&mut self, app: &AppName, release: Release) {
        let replicas = 1 + self.chance.below(5) as u32;
        self.tell(|| {
            format!(
                "deploy {replicas} of {app} {} port {} {:?}",
                release.version, release.port, release.workload
            )
        });
        let mut plan = Plan::new(app.clone(), release, replicas);
        plan.warmup_ms = *self.chance.pick(&[0, 500, 2_000]);
        plan.grace_ms = *self.chance.pick(&[0, 1_000, 10_000]);
        plan.rollout.max_failed = self.chance.below(3) as u32;
        plan.rollout.canary = self.chance.one_in(3).then(|| 1 + self.chance.below(2) as u32);
        plan.rollout.max_unavailable = self.chance.one_in(3).then(|| 1 + self.chance.below(2) as u32);
        self.fabric.publish(plan);
        self.stir();
    }

    fn some_process(&mut self) -> Option<(NodeName, LaunchId)> {
        let running: Vec<(NodeName, LaunchId)> = self
            .nodes
            .values()
            .flat_map(|node| node.running().map(|process| (node.name.clone(), process.launch.id.clone())))
            .collect();
        if running.is_empty() { None } else { Some(self.chance.pick(&running).clone()) }
    }

    fn drain(&mut self, node: NodeName) {
        let drained = &mut self.fabric.drained;
        let now = !drained.remove(&node) && drained.insert(node.clone());
        self.tell(|| format!("{node} is {}drained", if now { "" } else { "un" }));
        self.stir();
    }

    fn crash_agent(&mut self, node: &NodeName) {
        self.tell(|| format!("the agent of {node} is killed"));
        let sim = self.node(node);
        sim.core = None;
        sim.incarnation += 1;
        let until = self.chance.millis(50, 8_000);
        self.later(until, Event::Fault(Fault::StartAgent(node.clone())));
    }

    fn lose_keeper(&mut self, name: &NodeName) -> Result<(), String> {
        self.tell(|| format!("the keeper of {name} is killed"));
        let node = self.node(name);
        node.processes.clear();
        if node.core.is_none() {
            return Ok(());
        }
        let endpoints =
            self.fabric.endpoints.values().filter(|record| record.node_id == *name).cloned().collect();
        let adoption = Adoption { endpoints, ..Adoption::default() };
        self.input(name, Input::Adopt(Box::new(adoption)))
    }

    fn find_spores(&mut self) {
        let found: Vec<Digest> = std::mem::take(&mut self.missing).into_iter().collect();
        for (digest, node) in found
            .iter()
            .flat_map(|digest| self.nodes.keys().map(move |node| (*digest, node.clone())))
            .collect::<Vec<_>>()
        {
            self.reply(&node, Duration::from_millis(1), Input::SporeArrived(digest));
        }
    }

    fn trust(&mut self, trusted: bool) {
        self.strangers_trusted = trusted;
        for node in self.nodes.keys().cloned().collect::<Vec<_>>() {
            self.reply(&node, Duration::from_millis(1), Input::TrustChanged);
        }
    }

    /// Everybody lives, everything is there, and each app has a last plan: one that works, one that the
    /// mesh has to give up for the one before it, or none.
    fn quiet(&mut self) {
        self.tell(|| "nothing goes wrong any more".to_owned());
        for node in self.nodes.keys().cloned().collect::<Vec<_>>() {
            if self.nodes[&node].core.is_none() {
                self.start_agent(&node);
            }
        }
        if self.fabric.drained.len() == self.nodes.len() {
            self.fabric.drained.pop_first();
        }
        self.find_spores();
        self.trust(true);
        (self.slow_drains, self.quiet) = (false, true);
        for process in self.nodes.values_mut().flat_map(|node| node.processes.values_mut()) {
            process.sick = false;
        }
        for app in self.apps.clone() {
            match self.chance.below(4) {
                0 => drop(self.fabric.plans.remove(&app)),
                1 => {
                    let (good, bad) = (self.release(Nature::Good), self.release(Nature::Crashes));
                    self.publish(&app, good);
                    self.publish(&app, bad);
                    self.fabric.plans.get_mut(&app).unwrap().1.rollout.max_failed = 0;
                }
                _ => {
                    let good = self.release(Nature::Good);
                    self.publish(&app, good);
                }
            }
        }
        self.stir();
    }
}
