//! The lines of `mesh top`: what was read, summed up and put in order.

use std::collections::BTreeMap;

use mycelium::api::{AppUsage, NodeUsage, ReplicaUsage};
use serde::Serialize;
use types::{AppName, NodeName, ReplicaName, Timestamp};

use super::{By, Sort};
use crate::out::{Out, Paint};
use crate::table::Table;

/// One line.
#[derive(Debug, Clone, Default, Serialize, PartialEq)]
pub struct Row {
    /// When it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The replica, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<ReplicaName>,
    /// The app, if it is about one.
    #[serde(rename = "appName", skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// The node, if it is about one.
    #[serde(rename = "nodeID", skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// Why nothing is known of the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// How many replicas it is about.
    pub replicas: u64,
    /// Thousandths of a CPU in use.
    pub cpu_milli: Option<u64>,
    /// Planned with.
    pub baseline_milli: u64,
    /// While CPUs are wanted by more than there are.
    pub weight_milli: u64,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// The most it may be; absent where one has no limit.
    pub memory_limit: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Bytes a second, to and from disks.
    pub io_rate: Option<u64>,
    /// Microseconds of a CPU that the app has left.
    pub credits_us: Option<u64>,
    /// The most that it may have.
    pub cap_us: Option<u64>,
    /// Whether the app pays for more than its baseline.
    pub bursts: bool,
}

/// The lines about what was read, in order.
pub fn rows(usage: &[NodeUsage], by: By, sort: Sort) -> Vec<Row> {
    let mut rows = match by {
        By::Replica => by_replica(usage),
        By::App => by_app(usage),
        By::Node => usage.iter().map(of_node).collect(),
    };
    let name = |row: &Row| (row.app.clone(), row.node.clone(), row.replica.clone());
    rows.sort_by_key(name);
    match sort {
        Sort::Cpu => rows.sort_by_key(|row| std::cmp::Reverse(row.cpu_milli)),
        Sort::Mem => rows.sort_by_key(|row| std::cmp::Reverse(row.memory)),
        Sort::Name => {}
    }
    rows
}

fn by_replica(usage: &[NodeUsage]) -> Vec<Row> {
    let mut rows = Vec::new();
    for node in usage {
        for replica in &node.replicas {
            let mut row = Row { replica: Some(replica.replica.clone()), ..Row::of_app(&replica.app) };
            row.add(replica, node.at);
            row.node = Some(node.node.clone());
            if let Some(app) = node.apps.iter().find(|app| app.app == replica.app) {
                row.stand(app);
            }
            rows.push(row);
        }
    }
    rows
}

fn by_app(usage: &[NodeUsage]) -> Vec<Row> {
    let mut rows: BTreeMap<&AppName, Row> = BTreeMap::new();
    for node in usage {
        for replica in &node.replicas {
            rows.entry(&replica.app).or_insert_with(|| Row::of_app(&replica.app)).add(replica, node.at);
        }
        for app in &node.apps {
            rows.entry(&app.app).or_insert_with(|| Row::of_app(&app.app)).stand(app);
        }
    }
    rows.into_values().collect()
}

fn of_node(node: &NodeUsage) -> Row {
    let mut row = Row { node: Some(node.node.clone()), unknown: node.unknown.clone(), ..Row::default() };
    node.replicas.iter().for_each(|replica| row.add(replica, node.at));
    node.apps.iter().for_each(|app| row.stand(app));
    row
}

impl Row {
    fn of_app(app: &AppName) -> Self {
        Self { app: Some(app.clone()), ..Self::default() }
    }

    fn add(&mut self, replica: &ReplicaUsage, at: Option<Timestamp>) {
        let first = self.replicas == 0;
        let sum = |sum: &mut Option<u64>, more: Option<u64>| {
            *sum = if sum.is_none() && more.is_none() {
                None
            } else {
                Some(sum.unwrap_or(0) + more.unwrap_or(0))
            };
        };
        self.at = self.at.max(at);
        self.replicas += 1;
        self.baseline_milli += replica.nutrients.cpu_milli;
        self.weight_milli += replica.weight_milli;
        sum(&mut self.cpu_milli, replica.cpu_milli);
        sum(&mut self.memory, replica.memory);
        sum(&mut self.pids, replica.pids);
        sum(&mut self.io_rate, replica.io_rate);
        self.memory_limit = match (self.memory_limit, replica.memory_limit) {
            (None, limit) if first => limit,
            (sum, more) => sum.zip(more).map(|(sum, more)| sum + more),
        };
    }

    fn stand(&mut self, app: &AppUsage) {
        self.credits_us = Some(self.credits_us.unwrap_or(0) + app.credits_us);
        self.cap_us = Some(self.cap_us.unwrap_or(0) + app.cap_us);
        self.bursts |= app.bursts;
    }
}

/// As a table.
pub fn table(out: &Out, rows: &[Row], by: By) -> String {
    let mut table = match by {
        By::Replica => {
            Table::new(&["REPLICA", "NODE", "CPU", "OF", "MEMORY", "OF", "PIDS", "DISK", "CREDITS"])
        }
        By::App => Table::new(&["APP", "REPLICAS", "CPU", "OF", "MEMORY", "OF", "PIDS", "DISK", "CREDITS"]),
        By::Node => Table::new(&["NODE", "REPLICAS", "CPU", "OF", "MEMORY", "OF", "PIDS", "DISK", "CREDITS"]),
    };
    let text = |name: Option<&str>| name.unwrap_or_default().to_owned();
    for row in rows {
        let (node, app) = (row.node.as_ref().map(NodeName::as_str), row.app.as_ref().map(AppName::as_str));
        let replica = row.replica.as_ref().map(ReplicaName::as_str);
        let (name, second) = match by {
            By::Replica => (text(replica), text(node)),
            By::App => (text(app), row.replicas.to_string()),
            By::Node => (text(node), row.unknown.clone().unwrap_or_else(|| row.replicas.to_string())),
        };
        table.row([
            name,
            second,
            row.cpu_milli.map(percent).map(|cpu| hot(out, row, cpu)).unwrap_or_default(),
            percent(row.baseline_milli),
            row.memory.map(bytes).map(|memory| full(out, row, memory)).unwrap_or_default(),
            row.memory_limit.map(bytes).unwrap_or_default(),
            row.pids.map(|pids| pids.to_string()).unwrap_or_default(),
            row.io_rate.map(|rate| format!("{}/s", bytes(rate))).unwrap_or_default(),
            credits(row),
        ]);
    }
    table.render()
}

/// More than its baseline stands out.
fn hot(out: &Out, row: &Row, cpu: String) -> String {
    if row.cpu_milli.unwrap_or(0) > row.baseline_milli { out.paint(Paint::Yellow, cpu) } else { cpu }
}

/// So does nine tenths of the memory that it may have.
fn full(out: &Out, row: &Row, memory: String) -> String {
    let near = row.memory.zip(row.memory_limit).is_some_and(|(is, may)| is / 9 >= may / 10);
    if near { out.paint(Paint::Red, memory) } else { memory }
}

fn credits(row: &Row) -> String {
    let Some((left, cap)) = row.credits_us.zip(row.cap_us) else { return String::new() };
    let bursts = if row.bursts { ", bursts" } else { "" };
    format!("{} of {}{bursts}", super::super::budget::seconds(left), super::super::budget::seconds(cap))
}

/// Thousandths of a CPU, as a part of one.
fn percent(milli: u64) -> String {
    format!("{}.{} %", milli / 10, milli % 10)
}

fn bytes(bytes: u64) -> String {
    let (mut value, mut unit) = (bytes, "B");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 10_000 {
            break;
        }
        (value, unit) = (value >> 10, next);
    }
    format!("{value} {unit}")
}

#[cfg(test)]
mod tests;
