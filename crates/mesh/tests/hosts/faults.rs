//! What goes wrong with machines: links are cut, power fails, processes freeze, disks fill up.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::host::{DISK, Host};
use crate::lan::Lan;
use crate::node::{PATIENCE, gone};

/// The priority of the router's rules for what is cut, which is before that of everything it routes.
const CUT: &str = "pref 100";

impl Lan {
    /// Nothing passes between the hosts of one side and those of the other any more.
    pub fn cut(&self, one: &[usize], other: &[usize]) {
        self.cut_one_way(one, other);
        self.cut_one_way(other, one);
    }

    /// Nothing passes from these hosts to those any more; the way back is open.
    pub fn cut_one_way(&self, from: &[usize], to: &[usize]) {
        let mut cuts = self.cuts.lock().unwrap();
        let pairs = from.iter().flat_map(|from| to.iter().map(|to| (*from, *to)));
        let new: Vec<_> = pairs.filter(|pair| cuts.insert(*pair)).collect();
        self.rules("add", &new);
    }

    /// Everything passes again.
    pub fn heal(&self) {
        let cuts = std::mem::take(&mut *self.cuts.lock().unwrap());
        self.rules("del", &Vec::from_iter(cuts));
    }

    /// Takes a host's link down: unlike behind a cut, the host can tell.
    pub fn unplug(&self, host: usize) {
        self.host(host).space().ip("link set eth0 down\n");
    }

    /// Takes it up again.
    pub fn plug(&self, host: usize) {
        self.readdress(host);
    }

    /// The router drops what comes from one host for the subnet of the other.
    fn rules(&self, verb: &str, pairs: &[(usize, usize)]) {
        let lines = |subnet: fn(usize) -> String| {
            let rule =
                |(from, to): &(_, _)| format!("rule {verb} {CUT} iif h{from} to {} blackhole\n", subnet(*to));
            pairs.iter().map(rule).collect::<String>()
        };
        self.router().ip_with(&["-4"], &lines(|to| format!("10.7.{to}.0/24")));
        self.router().ip_with(&["-6"], &lines(|to| format!("fd07:0:0:{to}::/64")));
    }
}

impl Host {
    /// Every process that lives in this host, by id, with its command line.
    pub fn processes(&self) -> Vec<(Pid, String)> {
        let lives_here = |path: &Path| {
            std::fs::metadata(path.join("ns/net")).is_ok_and(|meta| meta.ino() == self.space().identity())
        };
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
            if lives_here(&entry.path()) {
                let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).replace('\0', " ");
                found.push((Pid::from_raw(pid).unwrap(), line));
            }
        }
        found
    }

    /// Power fails: every process is gone at once, and nothing said goodbye. The disk is as it was.
    pub fn power_off(&self) {
        // Once more while there are any: some of them may just have started others.
        loop {
            let all = self.processes();
            if all.is_empty() {
                break;
            }
            signal(&all, Signal::KILL);
            for (pid, line) in all {
                assert!(gone(pid, PATIENCE), "{pid:?} can't be killed: {line}");
            }
        }
    }

    /// Every process stands still, as in a machine that is paused. [`Host::thaw`] lets them go on.
    pub fn freeze(&self) {
        signal(&self.processes(), Signal::STOP);
    }

    /// They go on.
    pub fn thaw(&self) {
        signal(&self.processes(), Signal::CONT);
    }

    /// The disk is full from now on.
    pub fn fill_disk(&self) {
        let disk = rustix::fs::statvfs(self.folder()).unwrap();
        // No size at all would mean: no limit.
        self.resize(&((disk.f_blocks - disk.f_bfree).max(1) * disk.f_frsize).to_string());
    }

    /// It has room again.
    pub fn free_disk(&self) {
        self.resize(DISK);
    }

    fn resize(&self, size: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,size={size}"), "cell"]).arg(self.folder());
        assert!(mount.status().unwrap().success());
    }
}

/// Some of them may have ended by themselves.
fn signal(processes: &[(Pid, String)], signal: Signal) {
    for (pid, _) in processes {
        let _ = kill_process(*pid, signal);
    }
}
