//! `mesh man`: the manual pages, from the same definitions as `--help`.

use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::Man;

use crate::context::Context;
use crate::exit::{self, Code};
use crate::failure::Failure;

/// Print the manual, or write all its pages.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write mesh.1 and a page for every command into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let mut root = crate::cli::command();
    root.build();
    match args.out {
        None => context.out.raw(&page(&root, "mesh")?)?,
        Some(dir) => {
            std::fs::create_dir_all(&dir).map_err(|e| unwritten(&dir, &e))?;
            write_all(&root, "mesh", &dir)?;
            context.out.note(format_args!("wrote the manual to {}", dir.display()));
        }
    }
    Ok(Code::Ok)
}

fn write_all(command: &Command, name: &str, dir: &Path) -> Result<(), Failure> {
    let file = dir.join(format!("{name}.1"));
    std::fs::write(&file, page(command, name)?).map_err(|e| unwritten(&file, &e))?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        write_all(sub, &format!("{name}-{}", sub.get_name()), dir)?;
    }
    Ok(())
}

fn page(command: &Command, name: &str) -> Result<Vec<u8>, Failure> {
    let command = command.clone().display_name(name.to_owned()).disable_help_subcommand(true);
    let mut bytes = Vec::new();
    let rendered = Man::new(command).title(name.to_uppercase()).render(&mut bytes);
    rendered.map_err(|e| Failure::new(format_args!("failed to write the manual: {e}")))?;
    bytes.extend_from_slice(b".SH \"EXIT STATUS\"\n.nf\n");
    bytes.extend_from_slice(exit::help().as_bytes());
    bytes.extend_from_slice(b".fi\n");
    Ok(bytes)
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format_args!("failed to write {}: {error}", path.display()))
}
