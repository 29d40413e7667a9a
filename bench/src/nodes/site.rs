//! Sites: two network namespaces with a cable between them, so that a mesh can be cut in two, and its bytes counted.
//!
//! A cut is silent: frames go to an address that nobody has, and nobody is told.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::bench::Bench;
use crate::machine;
use crate::process::Process;

/// The longest that a namespace may take to be there.
const PATIENCE: Duration = Duration::from_secs(10);
/// An address that no interface has.
const NOBODY: &str = "02:00:00:00:00:ff";

/// Two sites.
pub struct Sites {
    /// Each of them.
    pub both: [Arc<Site>; 2],
}

/// One network namespace; it goes with the last process in it.
pub struct Site {
    number: usize,
    holder: Process,
}

impl Sites {
    /// Makes them; that is for root alone.
    pub fn make(bench: &Bench) -> Result<Self> {
        let both = [Site::make(bench, 1)?, Site::make(bench, 2)?].map(Arc::new);
        let [one, other] = &both;
        let (mac, far, there) = (mac(1), mac(2), other.holder.id());
        one.ip_command(&format!(
            "link add eth0 address {mac} type veth peer name eth0 address {far} netns {there}"
        ))?;
        for site in &both {
            let address = format!("addr add {}/24 dev eth0", site.ip());
            ["link set lo up", &address, "link set eth0 up"]
                .iter()
                .try_for_each(|line| site.ip_command(line))?;
        }
        let sites = Self { both };
        sites.heal()?;
        Ok(sites)
    }

    /// Nothing passes between them any more, and nobody is told.
    pub fn cut(&self) -> Result<()> {
        self.both.iter().try_for_each(|site| site.address_other_as(NOBODY))
    }

    /// Everything passes.
    pub fn heal(&self) -> Result<()> {
        self.both.iter().try_for_each(|site| site.address_other_as(&mac(site.other())))
    }
}

impl Site {
    fn make(bench: &Bench, number: usize) -> Result<Self> {
        let log = bench.dir.path().join("site.log");
        let argv = ["unshare", "--net", "sleep", "infinity"];
        let mut holder = Process::start("a network namespace (needs root)", &argv, &[], None, &log)?;
        let ours = fs::read_link("/proc/self/ns/net")?;
        let path = format!("/proc/{}/ns/net", holder.id());
        holder.until("it was there", PATIENCE, || fs::read_link(&path).ok().filter(|its| *its != ours))?;
        Ok(Self { number, holder })
    }

    /// Its address.
    pub fn ip(&self) -> String {
        format!("10.77.0.{}", self.number)
    }

    /// What has a program run in it.
    pub fn enter(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net=/proc/{}/ns/net", self.holder.id()), "--".to_owned()]
    }

    /// Bytes that were sent in it and from it so far, IP headers included.
    pub fn sent(&self) -> Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/net/dev", self.holder.id()))?;
        // name: bytes packets errs drop fifo frame compressed multicast, received and then sent
        let sent = |line: &str| line.split_once(':')?.1.split_whitespace().nth(8)?.parse::<u64>().ok();
        Ok(text.lines().filter_map(sent).sum())
    }

    const fn other(&self) -> usize {
        3 - self.number
    }

    fn address_other_as(&self, mac: &str) -> Result<()> {
        self.ip_command(&format!(
            "neigh replace 10.77.0.{} lladdr {mac} dev eth0 nud permanent",
            self.other()
        ))
    }

    fn ip_command(&self, line: &str) -> Result<()> {
        let mut argv = self.enter();
        argv.push("ip".to_owned());
        argv.extend(line.split(' ').map(str::to_owned));
        let mut command = Command::new(&argv[0]);
        let output = command.args(&argv[1..]).env("PATH", machine::path()).stdin(Stdio::null()).output();
        let output = output.context("failed to run nsenter")?;
        if !output.status.success() {
            bail!("ip {line}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

fn mac(number: usize) -> String {
    format!("02:00:00:00:00:0{number}")
}
