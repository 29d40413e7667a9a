//! An edge for one app in front of given backends, for measuring:
//! `edge_proxy [--workers N] [--h2c] LISTEN BACKEND...`, then `/app/...` is served until the process is killed.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;

use edge::{Balance, Config, Edge, Listen, Protocol, Table, Target};
use types::AppName;

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config { workers: 1, ..Config::default() };
    let mut protocol = Protocol::Http1;
    let mut addresses = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--workers" => config.workers = arguments.next().ok_or("--workers needs a number")?.parse()?,
            "--h2c" => protocol = Protocol::H2c,
            address => addresses.push(address.parse::<SocketAddr>()?),
        }
    }
    let [listen, backends @ ..] = addresses.as_slice() else { return Err("LISTEN BACKEND...".into()) };
    let targets = backends.iter().enumerate();
    let targets = targets
        .map(|(i, &addr)| Target { id: format!("app/bench/{i}"), reach: addr.into(), protocol, far: false })
        .collect();
    let apps = BTreeMap::from([(AppName::new("app")?, targets)]);
    let edge = Edge::new(config);
    edge.routes().set(&Table { apps, balance: Balance::RoundRobin, ..Table::default() });
    edge.start(Listen::Bind(*listen))?;
    loop {
        std::thread::park();
    }
}
