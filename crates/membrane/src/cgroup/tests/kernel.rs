//! Against the kernel that runs the tests: what there is, is tested; what is missing is said.

use std::fs::File;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use tempfile::TempDir;

use super::super::*;
use super::role::Actor;

/// Longer than anything takes on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nobody has this id.
const NOBODY: u32 = 54_321;
const MIB: u64 = 1 << 20;
/// How far from its share anybody may be.
const SHARE: f64 = 0.05;
/// What systemd marks a delegated group with.
const DELEGATED: &str = "trusted.delegate";

/// A keeper's folders, removed with all that is in them.
struct Ground {
    cgroups: Cgroups,
    folder: TempDir,
    unique: String,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let unique = unique();
        let cgroups = Cgroups::prepare(&unique, &folder.path().join("cgroups"));
        Self { cgroups, folder, unique }
    }

    /// `None`, and a word, where one of these isn't held.
    fn with(holds: impl Fn(&Budgets) -> Vec<&Hold>) -> Option<Self> {
        let ground = Self::new();
        for hold in holds(ground.cgroups.budgets()) {
            if let Hold::Not(why) = hold {
                println!("SKIPPED: {why}");
                return None;
            }
        }
        Some(ground)
    }

    fn record(&self) -> PathBuf {
        self.folder.path().join("cgroups")
    }

    fn group(&self, id: &str, limits: Limits) -> Group {
        self.cgroups.group(id, &limits).unwrap()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        sweep(&self.unique, &self.record());
        for folder in &self.cgroups.folders {
            assert!(!folder.path.exists(), "{} is left", folder.path.display());
        }
    }
}

fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{:05x}{:03x}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn doors(group: &Group) -> Vec<PathBuf> {
    group.folders.iter().map(|folder| folder.file("cgroup.procs")).collect()
}

fn eventually(what: &str, done: impl Fn() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < PATIENCE, "never: {what}");
        let moment = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        let _ = rustix::event::poll(&mut [], Some(&moment));
    }
}

/// Kills until nobody is left.
fn kill(group: &Group) -> Duration {
    let begin = Instant::now();
    group.kill();
    eventually("everybody is dead", || {
        let gone = !group.is_populated();
        if !gone {
            group.kill();
        }
        gone
    });
    begin.elapsed()
}

fn memory(mib: u64) -> Limits {
    Limits { memory: mib * MIB, ..Limits::default() }
}

#[test]
fn a_group_that_runs_out_of_memory_is_told_of_and_goes_as_a_whole() {
    let Some(ground) = Ground::with(|b| vec![&b.memory, &b.kill]) else { return };
    let (group, other) = (ground.group("hog", memory(64)), ground.group("neighbour", memory(64)));
    let watch = group.watch_oom().unwrap();
    let told = watch.is_some();
    let mut hog = Actor::start("hog 512", &doors(&group), None);
    let mut neighbour = Actor::start("stay", &doors(&other), None);
    assert_eq!((hog.line().unwrap(), neighbour.line().unwrap()), ("hungry".to_owned(), "here".to_owned()));
    assert_eq!(group.oom().unwrap().kills, 0);
    hog.go_on();
    if let Some(watch) = watch {
        let mut fds = [PollFd::new(&watch, PollFlags::IN)];
        assert_eq!(rustix::event::poll(&mut fds, Some(&Timespec { tv_sec: 60, tv_nsec: 0 })), Ok(1));
        // v1 kills one; who is left is ours
        kill(&group);
    }
    eventually("nobody is left", || !group.is_populated());
    assert_eq!((hog.line(), hog.signal()), (None, Some(9)));
    // Where it is told of before anybody is killed, we may have been first.
    eventually("it is counted", || told || group.oom().unwrap().kills > 0);
    assert!(group.usage().memory_peak.is_none_or(|peak| (32 * MIB..=64 * MIB).contains(&peak)));
    assert!(other.is_populated() && other.oom().unwrap().kills == 0);
    assert!(group.remove() && !other.remove());
}

#[test]
fn limits_change_while_it_runs() {
    let Some(ground) = Ground::with(|b| vec![&b.memory]) else { return };
    let group = ground.group("hog", memory(32));
    group.set(&memory(512)).unwrap();
    let mut hog = Actor::start("hog 128", &doors(&group), None);
    hog.line().unwrap();
    hog.go_on();
    assert_eq!(hog.line().as_deref(), Some("has 128"));
    // the rest that it holds is free only when it is gone
    kill(&group);
    group.set(&memory(1024)).unwrap();
    group.set(&memory(64)).unwrap();
    group.set(&Limits::default()).unwrap();
}

#[test]
fn processes_end_where_their_number_does() {
    let Some(ground) = Ground::with(|b| vec![&b.pids]) else { return };
    let group = ground.group("bomb", Limits { pids: 50, ..Limits::default() });
    let mut bomb = Actor::start("tree 200", &doors(&group), None);
    let made: usize = bomb.line().unwrap().strip_prefix("made ").unwrap().parse().unwrap();
    // the tests' harness may have a thread or two of its own
    assert!((45..50).contains(&made), "{made}");
    assert_eq!(group.usage().pids, Some(50));
    kill(&group);
}

#[test]
fn a_thousand_processes_are_gone_at_once() {
    let Some(ground) = Ground::with(|b| vec![&b.kill]) else { return };
    let group = ground.group("tree", Limits { pids: 2000, ..Limits::default() });
    let mut tree = Actor::start("tree 1000", &doors(&group), None);
    assert_eq!(tree.line().as_deref(), Some("made 1000"));
    let took = kill(&group);
    println!("1000 processes gone in {took:?}");
    assert_eq!(tree.signal(), Some(9));
    eventually("it can be removed", || group.remove());
}

#[test]
fn without_the_kernels_kill_they_are_frozen_first() {
    let Some(ground) = Ground::with(|b| vec![&b.kill]) else { return };
    let found = mounts::read().unwrap();
    let Some(freezer) = found.iter().find(|h| h.controllers == [Controller::Freezer]) else {
        println!("SKIPPED: there is no freezer here");
        return;
    };
    let found = place::find(std::slice::from_ref(freezer), &folder_name(&ground.unique));
    if let Hold::Not(why) = &found.budgets.kill {
        println!("SKIPPED: {why}");
        assert!(!rustix::process::geteuid().is_root(), "{why}");
        return;
    }
    let only = Cgroups { folders: found.folders, budgets: found.budgets };
    let group = only.group("tree", &Limits::default()).unwrap();
    let mut tree = Actor::start("tree 100", &doors(&group), None);
    assert_eq!(tree.line().as_deref(), Some("made 100"));
    kill(&group);
    assert_eq!(tree.signal(), Some(9));
    eventually("it can be removed", || group.remove());
    only.close();
    assert!(!only.folders[0].path.exists());
}

#[test]
fn the_cpu_is_shared_as_asked() {
    let Some(ground) = Ground::with(|b| vec![&b.cpu]) else { return };
    let share = |cpu_milli| Limits { cpu_milli, ..Limits::default() };
    let groups = [ground.group("one", share(250)), ground.group("three", share(750))];
    let mut actors: Vec<Actor> = groups.iter().map(|g| Actor::start("burn", &doors(g), None)).collect();
    actors.iter_mut().for_each(|actor| assert_eq!(actor.line().as_deref(), Some("burning")));
    let used = |group: &Group| group.usage().cpu_usec.unwrap();
    let before = groups.each_ref().map(used);
    let since = || -> [u64; 2] { [used(&groups[0]) - before[0], used(&groups[1]) - before[1]] };
    eventually("they have burnt for two seconds", || since().iter().sum::<u64>() > 2_000_000);
    let [one, three] = since();
    println!("{one} and {three} us");
    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    let share = three as f64 / (one + three) as f64;
    assert!((0.70..0.80).contains(&share), "{share} instead of 0.75");
    for group in &groups {
        kill(group);
    }
}

/// How far from its share one of those that want all CPUs is at most, with the weights that the ledger gives them: of each
/// its baseline in thousandths of all CPUs, and whether it pays for more.
#[expect(clippy::cast_precision_loss, reason = "seconds")]
fn contend(ground: &Ground, wants: &[(u64, bool)]) -> f64 {
    let cpus = std::thread::available_parallelism().unwrap().get();
    let capacity = cpus as u64 * 1000;
    let milli = |part: u64| capacity * part / 1000;
    let wants: Vec<_> =
        wants.iter().map(|(part, bursts)| nutrients::Want { milli: milli(*part), bursts: *bursts }).collect();
    let weights = nutrients::shares(capacity, &wants);
    let limits = |cpu_milli| Limits { cpu_milli: u32::try_from(cpu_milli).unwrap(), ..Limits::default() };
    let group = |n: usize| ground.group(&format!("{n}-of-{}", wants.len()), limits(wants[n].milli));
    let groups: Vec<Group> = (0..wants.len()).map(group).collect();
    let mut actors: Vec<Actor> = groups.iter().map(|g| Actor::start("spin 2", &doors(g), None)).collect();
    actors.iter_mut().for_each(|actor| assert_eq!(actor.line().as_deref(), Some("spinning")));
    // as it is weighed anew while it runs
    groups.iter().zip(&weights).for_each(|(group, weight)| group.set(&limits(*weight)).unwrap());
    let used = || -> Vec<u64> { groups.iter().map(|group| group.usage().cpu_usec.unwrap()).collect() };
    let since =
        |then: &[u64]| -> Vec<u64> { used().iter().zip(then).map(|(now, then)| now - then).collect() };
    let start = used();
    eventually("all of them run", || since(&start).iter().sum::<u64>() > 1_000_000);
    let (settled, whole) = (used(), weights.iter().sum::<u64>() as f64);
    // A machine in a machine is taken a CPU from now and then, and whoever had that is thought to have used it: over a while
    // that is alike for all.
    let mut off = 1.0;
    for seconds in [10, 20, 40] {
        eventually("they have spun", || since(&settled).iter().sum::<u64>() > seconds * 1_000_000);
        let got = since(&settled);
        let sum = got.iter().sum::<u64>() as f64;
        let each = got.iter().zip(&weights).map(|(got, due)| *got as f64 / sum / (*due as f64 / whole) - 1.0);
        off = each.fold(0.0, |most: f64, off| most.max(off.abs()));
        println!("weights {weights:?} got {got:?} us: {:.1} % off", off * 100.0);
        if off < SHARE {
            break;
        }
    }
    for group in &groups {
        kill(group);
    }
    off
}

/// What the bench shows of v1 on a machine that does nothing else, where there is v2.
#[test]
fn who_wants_all_cpus_gets_them_by_the_ledgers_weights() {
    let Some(ground) = Ground::with(|b| vec![&b.cpu, &b.kill]) else { return };
    if ground.cgroups.budgets.cpu != Hold::By(Version::V2) {
        println!("SKIPPED: it isn't v2 that weighs the CPU here");
        return;
    }
    let cases: [&[(u64, bool)]; 5] = [
        &[(100, true), (300, true)],
        &[(250, false), (750, false)],
        &[(250, true), (250, false)],
        &[(100, true), (200, true), (300, true)],
        &[(250, true), (250, false), (125, false)],
    ];
    for wants in cases {
        let off = contend(&ground, wants);
        assert!(off < SHARE, "{:.1} % off: {wants:?}", off * 100.0);
    }
}

#[test]
fn who_goes_first_asks_for_short_turns() {
    let ground = Ground::new();
    let group = ground.group("server", Limits::default());
    let mut actor = Actor::start("tree 3", &doors(&group), None);
    assert_eq!(actor.line().as_deref(), Some("made 3"));
    let turns = || -> Vec<Option<u64>> {
        let all = files::processes(&group.folders[0].path).unwrap();
        all.into_iter().map(slice::turn).collect()
    };
    if group.folders.is_empty() || turns().contains(&None) {
        println!("SKIPPED: this kernel has no groups for us, or no turns of a thread's own");
        return;
    }
    let usual = turns();
    group.hurry(true);
    assert!(
        turns().len() == usual.len() && turns().iter().all(|turn| *turn == Some(100_000)),
        "{:?}",
        turns()
    );
    group.hurry(false);
    assert_eq!(turns(), usual);
    kill(&group);
}

#[test]
fn a_quota_holds_though_nobody_else_wants_the_cpu() {
    let Some(ground) = Ground::with(|b| vec![&b.cpu]) else { return };
    let group = ground.group("slow", Limits { cpu_max_milli: 100, ..Limits::default() });
    let mut actor = Actor::start("burn", &doors(&group), None);
    actor.line().unwrap();
    let (begin, before) = (Instant::now(), group.usage().cpu_usec.unwrap());
    eventually("it has burnt a little", || group.usage().cpu_usec.unwrap() - before > 150_000);
    assert!(begin.elapsed() > Duration::from_secs(1), "{:?}", begin.elapsed());
    kill(&group);
}

#[test]
fn what_a_killed_keeper_left_is_swept_by_the_next() {
    let ground = Ground::new();
    if ground.cgroups.folders.is_empty() {
        return;
    }
    let group = ground.group("left", Limits::default());
    let mut actor = Actor::start("tree 10", &doors(&group), None);
    actor.line().unwrap();
    let stranger = folder_name("another0");
    let line = |folder: &Folder| folder.path.with_file_name(&stranger).display().to_string();
    let text: Vec<String> = ground.cgroups.folders.iter().map(line).collect();
    let known = std::fs::read_to_string(ground.record()).unwrap();
    std::fs::write(ground.record(), format!("{known}{}\nrelative\n/\n", text.join("\n"))).unwrap();
    let again = Cgroups::prepare(&ground.unique, &ground.record());
    assert_eq!(again, ground.cgroups);
    assert_eq!(actor.signal(), Some(9));
    assert!(group.folders.iter().all(|folder| !folder.path.exists()));
    assert!(again.folders.iter().all(|folder| files::children(&folder.path).is_empty()));
}

#[test]
fn any_id_makes_a_group_of_its_own() {
    let ground = Ground::new();
    let ids = ["a/b", "a.b", "../../etc", "", "cgroup.procs", "tasks", &"ä".repeat(500), "a b\n"];
    let groups: Vec<Group> = ids.iter().map(|id| ground.group(id, Limits::default())).collect();
    for (group, parent) in groups.iter().flat_map(|g| g.folders.iter().zip(&ground.cgroups.folders)) {
        assert_eq!(group.path.parent(), Some(&*parent.path));
    }
    assert!(groups.iter().all(Group::remove));
}

#[test]
fn a_bare_user_is_told_why_not() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    chown(folder.path(), Some(NOBODY), None).unwrap();
    let role = format!("prepare {} {}", unique(), folder.path().join("cgroups").display());
    let mut actor = Actor::start(&role, &[], Some(NOBODY));
    let found: Cgroups = serde_json::from_str(&actor.line().unwrap()).unwrap();
    assert_eq!(found.folders, []);
    for hold in [&found.budgets.cpu, &found.budgets.memory, &found.budgets.pids, &found.budgets.kill] {
        assert!(matches!(hold, Hold::Not(why) if why.contains("root")), "{hold:?}");
    }
}

/// A group that was given to a user, as `Delegate=yes` does it: in it, with others of the same user, the keeper has to
/// make room for limits.
#[test]
fn a_user_with_a_delegated_group_has_what_that_has() {
    let own = mounts::read().unwrap().into_iter().find(|h| h.version == Version::V2);
    let Some(tree) = own.filter(|_| rustix::process::geteuid().is_root()) else { return };
    let given = tree.mount.join(format!("mesh-given-{}", unique()));
    std::fs::create_dir(&given).unwrap();
    let offers = std::fs::read_to_string(tree.mount.join("cgroup.controllers")).unwrap();
    for controller in offers.split_ascii_whitespace() {
        let _ = files::write(&tree.mount.join("cgroup.subtree_control"), &format!("+{controller}"));
    }
    for path in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
        chown(given.join(path), Some(NOBODY), None).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    chown(folder.path(), Some(NOBODY), None).unwrap();
    let (door, unique) = ([given.join("cgroup.procs")], unique());
    let mut shell = Actor::start("stay", &door, Some(NOBODY));
    shell.line().unwrap();
    let role = format!("prepare {unique} {}", folder.path().join("cgroups").display());
    let mut keeper = Actor::start(&role, &door, Some(NOBODY));
    let found: Cgroups = serde_json::from_str(&keeper.line().unwrap()).unwrap();
    let v2 = found.folders.iter().find(|folder| folder.version == Version::V2).unwrap();
    assert_eq!(v2.path, given.join(folder_name(&unique)));
    assert_eq!(found.budgets.kill, Hold::By(Version::V2));
    for (name, hold) in
        [("cpu", &found.budgets.cpu), ("memory", &found.budgets.memory), ("pids", &found.budgets.pids)]
    {
        let offered = offers.split_ascii_whitespace().any(|offer| offer == name);
        assert_eq!(*hold == Hold::By(Version::V2), offered, "{name}: {hold:?}");
    }
    if offers.contains("memory") {
        assert_eq!(files::processes(&given).unwrap(), [] as [i32; 0]);
    }
    keeper.go_on();
    keeper.child.wait().unwrap();
    drop((keeper, shell));
    assert!(!v2.path.exists());
    eventually("all of it can be removed", || sweep::remove(&given));
}

/// As systemd 254 does it with `DelegateSubgroup=`: what limits the unit then limits the workloads, root's too.
#[test]
fn a_delegated_group_whose_processes_are_in_one_below_is_where_roots_folder_goes() {
    let own = mounts::read().unwrap().into_iter().find(|h| h.version == Version::V2);
    let Some(tree) = own.filter(|_| rustix::process::geteuid().is_root()) else { return };
    let given = tree.mount.join(format!("mesh-given-{}", unique()));
    std::fs::create_dir_all(given.join("main")).unwrap();
    rustix::fs::setxattr(&given, DELEGATED, b"1", rustix::fs::XattrFlags::empty()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let unique = unique();
    let role = format!("prepare {unique} {}", folder.path().join("cgroups").display());
    let mut keeper = Actor::start(&role, &[given.join("main/cgroup.procs")], None);
    let found: Cgroups = serde_json::from_str(&keeper.line().unwrap()).unwrap();
    let v2 = found.folders.iter().find(|folder| folder.version == Version::V2).unwrap();
    assert_eq!(v2.path, given.join(folder_name(&unique)));
    keeper.go_on();
    keeper.child.wait().unwrap();
    assert!(!v2.path.exists());
    eventually("all of it can be removed", || sweep::remove(&given));
}

#[test]
fn a_folder_without_a_keeper_goes_when_it_is_old_and_no_other() {
    let ground = Ground::new();
    let Some(folder) = ground.cgroups.folders.first() else { return };
    let place = folder.path.parent().unwrap();
    let [old, young, kept] = [(); 3].map(|()| place.join(folder_name(&unique())));
    for path in [&old, &young, &kept] {
        std::fs::create_dir_all(path.join("replica")).unwrap();
    }
    let held = sweep::hold(&kept).unwrap();
    assert!(sweep::hold(&kept).is_err());
    let hour = std::time::SystemTime::now() - Duration::from_secs(3600);
    let mut filled = Actor::start("stay", &[kept.join("replica/cgroup.procs")], None);
    filled.line().unwrap();
    for path in [&old, &kept] {
        File::open(path).unwrap().set_modified(hour).unwrap();
    }
    let name = folder_name(&ground.unique);
    sweep::abandoned(place, &name);
    // Another test's keeper may be at it just now.
    eventually("the old one is gone", || !old.exists());
    assert!(young.exists() && kept.exists() && folder.path.exists());
    // whoever runs there is nobody's business but his keeper's
    drop(held);
    sweep::abandoned(place, &name);
    assert!(kept.exists() && filled.child.try_wait().unwrap().is_none());
    drop(filled);
    for path in [&young, &kept] {
        eventually("it can be removed", || sweep::remove(path));
    }
}
