//! Table: the figures for people, and as JSON for everything else.

use std::io::{self, Write};

use serde::Serialize;

use crate::figures::{Bar, Figure, Verdict, number};

/// Prints the figures as one table, the notes under it.
pub fn print(out: &mut impl Write, head: &str, figures: &[Figure]) -> io::Result<()> {
    writeln!(out, "\n{head}\nmedian (min..max of the runs)\n")?;
    let rows: Vec<[Vec<String>; 4]> = figures.iter().map(cells).collect();
    let titles = ["figure", "mesh", "beside it", "bar"].map(|title| vec![title.to_owned()]);
    let width = |column: usize| {
        let cells = rows.iter().chain([&titles]).flat_map(|row| &row[column]);
        cells.map(|line| line.chars().count()).max().unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2), width(3)];
    line(out, &titles, &widths)?;
    writeln!(out, "{}", widths.map(|width| "-".repeat(width)).join("  "))?;
    for row in &rows {
        line(out, row, &widths)?;
    }
    let noted: Vec<_> = figures.iter().filter(|figure| !figure.note.is_empty()).collect();
    if !noted.is_empty() {
        writeln!(out)?;
    }
    for figure in noted {
        writeln!(out, "{}: {}", figure.name, figure.note)?;
    }
    Ok(())
}

fn cells(figure: &Figure) -> [Vec<String>; 4] {
    let beside = figure.beside.iter().map(|series| format!("{} {series}", series.who)).collect();
    let verdict = figure.verdict();
    let ratio = figure.ratio().map(|ratio| format!(" ({ratio:.2} x)")).unwrap_or_default();
    let mut bar = vec![figure.bar.to_string()];
    if verdict != Verdict::Shown {
        bar.push(format!("{verdict}{ratio}"));
    }
    let mut ours = vec![figure.ours.to_string()];
    if matches!(figure.bar, Bar::P99AtMost(_)) {
        ours.push(format!("p99 of {}: {}", figure.ours.runs.len(), number(figure.ours.p99())));
    }
    [vec![figure.name.clone()], ours, beside, bar]
}

fn line(out: &mut impl Write, row: &[Vec<String>; 4], widths: &[usize; 4]) -> io::Result<()> {
    let height = row.iter().map(Vec::len).max().unwrap_or(0);
    for at in 0..height {
        let cells: Vec<_> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{:width$}", cell.get(at).map_or("", String::as_str)))
            .collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Report<'a> {
    machine: &'a str,
    figures: Vec<Judged<'a>>,
}

#[derive(Serialize)]
struct Judged<'a> {
    #[serde(flatten)]
    figure: &'a Figure,
    median: f64,
    verdict: Verdict,
}

/// The same, every run of it.
pub fn json(head: &str, figures: &[Figure]) -> serde_json::Result<String> {
    let judged = figures.iter().map(|figure| Judged {
        figure,
        median: figure.ours.median(),
        verdict: figure.verdict(),
    });
    serde_json::to_string_pretty(&Report { machine: head, figures: judged.collect() })
}
