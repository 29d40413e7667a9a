//! Fifty nodes, each a process of its own, in two network namespaces: how soon all know what one says, who is dead,
//! who has come; what it costs when nothing happens; and how a mesh that was cut in two becomes one again.

mod cut;
mod deaths;
mod idle;
mod joins;
mod plans;

use anyhow::Result;

use crate::bench::Bench;
use crate::figures::Figure;
use crate::hand::Published;
use crate::nodes::{Nodes, Sites};

const NODES: usize = 50;
const QUICK_NODES: usize = 10;

/// A mesh, and what is around it.
struct Fifty<'a> {
    bench: &'a Bench,
    nodes: Nodes,
    sites: Sites,
    spore: Published,
    count: usize,
}

/// One mesh for all of it.
pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let count = if bench.quick { QUICK_NODES } else { NODES };
    let sites = Sites::make(bench)?;
    let nodes = Nodes::start(bench, count, &sites.both, None)?;
    let spore = nodes.all[0].publish("billing", &bench.billing)?;
    let mut fifty = Fifty { bench, nodes, sites, spore, count };
    let mut figures = plans::run(&fifty)?;
    figures.extend(idle::run(&fifty)?);
    figures.extend(joins::run(&mut fifty)?);
    figures.extend(deaths::run(&mut fifty)?);
    figures.extend(cut::run(&fifty)?);
    Ok(figures)
}

impl Fifty<'_> {
    /// Hands the first node a plan that no node can follow, so that nothing but the record is measured.
    fn plan(&self, at: usize, app: &str) -> Result<Vec<u8>> {
        self.nodes.all[at].plan(app, &self.spore, 1, |plan| {
            plan.constraints.insert("node".to_owned(), "none".to_owned());
        })
    }

    /// All nodes of the mesh as it was founded.
    fn all(&self) -> Vec<usize> {
        (0..self.count).collect()
    }
}
