use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use membrane::bpf::{Programs, Reach};
use telemetry::EventKind;

use super::*;
use crate::api::TraceWhat;

/// Longer than anything takes on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A group with one below it, where a shell waits for a line; gone when dropped.
struct Grove {
    parent: PathBuf,
    group: PathBuf,
    shell: Child,
}

impl Grove {
    fn new(name: &str, script: &str) -> Self {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let line = mounts.lines().find(|line| line.contains(" - cgroup2 ")).unwrap();
        let root = PathBuf::from(line.split(' ').nth(4).unwrap());
        let parent = root.join(format!("mesh-sight-{}-{name}", std::process::id()));
        let group = parent.join("replica");
        std::fs::create_dir_all(&group).unwrap();
        let mut bash = Command::new("/bin/bash");
        bash.args(["-c", &format!("read x; {script}")]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let shell = bash.stderr(Stdio::null()).spawn().unwrap();
        std::fs::write(group.join("cgroup.procs"), shell.id().to_string()).unwrap();
        Self { parent, group, shell }
    }

    fn attach(&self, reach: &Reach) {
        let dir = File::open(&self.group).unwrap();
        Programs::load().unwrap().attach(Some(reach), dir.as_fd()).unwrap();
    }

    fn go(&mut self) {
        writeln!(self.shell.stdin.as_mut().unwrap(), "go").unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.shell.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line
    }

    fn end(mut self) {
        self.shell.wait().unwrap();
        std::fs::remove_dir(&self.group).unwrap();
        std::fs::remove_dir(&self.parent).unwrap();
    }

    fn watched(&self) -> Watched {
        let replica = ReplicaName::new("billing-1a2b").unwrap();
        let (node, app) = (NodeName::new("node-1").unwrap(), AppName::new("billing").unwrap());
        let id = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&self.group).unwrap());
        Watched { node, app, replica, group: GroupAt { id, path: self.group.clone() } }
    }
}

fn eyes() -> Option<(tempfile::TempDir, EventLog, Sight)> {
    let folder = tempfile::tempdir().unwrap();
    let events = EventLog::open(folder.path()).unwrap();
    let (sight, eyes) = open(events.clone());
    let Ok(eyes) = eyes else {
        println!("SKIPPED: {}", sight.lack().unwrap());
        return None;
    };
    tokio::spawn(eyes.look());
    Some((folder, events, sight))
}

async fn heard(following: &mut Following, until: impl Fn(&Trace) -> bool) -> Vec<Trace> {
    let mut all = Vec::new();
    while !all.last().is_some_and(&until) {
        let (missed, traces) = tokio::time::timeout(PATIENCE, following.next()).await.unwrap().unwrap();
        assert_eq!(missed, 0);
        for trace in traces.iter() {
            all.push(trace.clone());
            if until(trace) {
                break;
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_replica_does_is_told_and_counted_from_its_first_program_on() {
    let Some((_folder, events, sight)) = eyes() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (own, to) = (listener.local_addr().unwrap().port(), listener.local_addr().unwrap());
    let script = format!(
        "/bin/true; exec 3<>/dev/tcp/127.0.0.1/{own}; for i in 1 2 3; do exec 4<>/dev/tcp/127.0.0.2/{own}; done; \
         echo done; read x; exit 3"
    );
    let mut grove = Grove::new("told", &script);
    grove.attach(&Reach { tcp: vec![(Some(to.ip()), own)], ..Reach::default() });
    let mut following = sight.follow().await;
    sight.below(grove.parent.clone()).await;
    // Whoever has had an answer was heard.
    sight.counted().await;
    grove.go();
    assert_eq!(grove.line(), "done\n");
    // It is named only now, and what it did before is not lost.
    sight.watch(grove.watched());
    grove.go();
    let ended = |trace: &Trace| trace.what == TraceWhat::Exit { code: Some(3), signal: None };
    let told = heard(&mut following, ended).await;
    let count = |kind: fn(&TraceWhat) -> bool| told.iter().filter(|trace| kind(&trace.what)).count();
    assert_eq!(count(|what| matches!(what, TraceWhat::Exec { program: Some(p) } if p == "/bin/true")), 1);
    assert_eq!(
        count(|what| matches!(what, TraceWhat::Refused { call, .. } if call == "connect")),
        3,
        "{told:#?}"
    );
    assert!(told.iter().all(|trace| trace.replica.as_str() == "billing-1a2b"));
    let counted = sight.counted().await;
    let text = text(&counted);
    let labels = "{app=\"billing\",node=\"node-1\",replica=\"billing-1a2b\"}";
    for line in ["connects_total", "execs_total"].map(|name| format!("mycelium_replica_{name}{labels} 1\n")) {
        assert!(text.contains(&line), "{text}");
    }
    assert!(text.contains(&format!("mycelium_replica_refusals_total{labels} 3\n")), "{text}");
    let said = events.after(0).unwrap();
    assert_eq!(said.len(), 1, "{said:#?}");
    assert_eq!(said[0].kind, EventKind::ReachRefused);
    let expected = format!("bash was refused a connection to 127.0.0.2:{own} (tcp)");
    assert!(said[0].message.starts_with(&expected), "{}", said[0].message);
    grove.end();
    while !sight.counted().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_told_only_while_somebody_follows() {
    let Some((_folder, _events, sight)) = eyes() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let connect = format!("exec 3<>/dev/tcp/127.0.0.1/{}; echo done; read x;", to.port());
    let mut grove = Grove::new("followed", &format!("{connect} {connect} exec 5<>/dev/tcp/127.0.0.3/1"));
    grove.attach(&Reach { tcp: vec![(Some(to.ip()), to.port())], ..Reach::default() });
    sight.watch(grove.watched());
    sight.counted().await;
    grove.go();
    grove.line();
    let mut following = sight.follow().await;
    sight.counted().await;
    grove.go();
    grove.line();
    grove.go();
    let told = heard(&mut following, |trace| matches!(trace.what, TraceWhat::Refused { .. })).await;
    let connects = told.iter().filter(|trace| matches!(trace.what, TraceWhat::Connect { .. })).count();
    assert_eq!(connects, 1, "{told:#?}");
    assert_eq!(sight.counted().await[0].traffic.connects, 2);
    grove.end();
}

#[test]
fn one_that_tries_many_things_is_said_of_a_few_times() {
    let watched = Watched {
        node: NodeName::new("node-1").unwrap(),
        app: AppName::new("billing").unwrap(),
        replica: ReplicaName::new("billing-1a2b").unwrap(),
        group: GroupAt { id: 1, path: PathBuf::new() },
    };
    let mut refusals = Refusals::default();
    let at = |port, secs| {
        let address = ([127, 0, 0, 1], port).into();
        let what = membrane::bpf::What::RefusedConnect(membrane::bpf::Protocol::Tcp, address);
        let seen = Sighting { ago: Duration::ZERO, group: 1, process: Some((7, "sh".to_owned())), what };
        told::trace(&watched, seen, types::Timestamp::from_secs(secs))
    };
    let said: Vec<_> = (0..1000).filter_map(|n| refusals.event(&at(n % 100, 1000))).collect();
    assert_eq!(said.len(), 8);
    assert!(said[7].message.ends_with("`mesh trace` shows all"), "{}", said[7].message);
    refusals.forget(types::Timestamp::from_secs(1599));
    assert_eq!(refusals.event(&at(5, 1599)), None);
    refusals.forget(types::Timestamp::from_secs(1601));
    assert!(refusals.event(&at(5, 1601)).is_some());
}
