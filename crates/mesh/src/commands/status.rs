//! `mesh status`: the mesh, its nodes and its apps, at one glance.

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::out::Paint;
use crate::publisher::now;
use crate::span::short;
use crate::view;

/// Show the mesh, its nodes and its apps.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let client = context.client()?;
    let status = context.block_on(async { Ok(client.status().await?) })?;
    if args.json {
        context.out.json(&status)?;
        return Ok(Code::Ok);
    }
    let out = &context.out;
    out.line(format_args!(
        "{} {}, process {}, up {}",
        out.paint(Paint::Bold, "mesh"),
        status.version,
        status.pid,
        short(now().since(status.started_at))
    ))?;
    out.line(format_args!("edge   {}", status.edge.url))?;
    if let Some(admin) = &status.admin {
        out.line(format_args!("admin  {admin}"))?;
    }
    out.line(format_args!("state  {}", status.state.display()))?;
    out.line(format_args!("\n{}", view::nodes(&status).render()))?;
    if status.apps.is_empty() {
        out.line("\nno apps; `mesh deploy SPORE` or `mesh up` brings some")?;
    } else {
        out.line(format_args!("\n{}", view::apps(out, &status).render()))?;
    }
    for remark in view::remarks(out, &status).into_iter().chain(view::sizes(out, &status.apps)) {
        out.line(format_args!("\n{remark}"))?;
    }
    Ok(Code::Ok)
}
