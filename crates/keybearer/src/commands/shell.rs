//! `keybearer completions` and `keybearer man`: what a shell and a reader get out of the description of the commands.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::failure::{Failure, Sort};
use crate::output::{deliver, remark};

#[derive(clap::Args)]
pub(crate) struct ManArgs {
    /// Write a page for every command into this directory.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The command whose page is printed, such as `keys add`; the whole program's unless given.
    #[arg(conflicts_with = "dir")]
    command: Vec<String>,
}

/// Prints the completions of a shell.
pub(crate) fn completions(mut root: clap::Command, shell: Shell) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut root, "keybearer", &mut text);
    let _ = deliver(&text);
    ExitCode::SUCCESS
}

/// Prints a manual page, or writes them all.
pub(crate) fn man(mut root: clap::Command, args: &ManArgs) -> anyhow::Result<ExitCode> {
    root.build();
    if let Some(directory) = &args.dir {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let pages = write_pages(&root, directory)?;
        remark(&format!("{pages} pages in {}.", directory.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let mut found = &root;
    for name in &args.command {
        let child = found.get_subcommands().find(|it| it.get_name() == name);
        found = child.ok_or_else(|| {
            let message = format!("there is no command {}", args.command.join(" "));
            Failure::new(Sort::Missing, message)
        })?;
    }
    let _ = deliver(&page(found)?);
    Ok(ExitCode::SUCCESS)
}

fn page(command: &clap::Command) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    Man::new(command.clone()).render(&mut text)?;
    Ok(text)
}

fn write_pages(command: &clap::Command, directory: &Path) -> anyhow::Result<usize> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let path = directory.join(format!("{name}.1"));
    std::fs::write(&path, page(command)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let mut pages = 1;
    for child in command.get_subcommands() {
        if child.get_name() != "help" && !child.is_hide_set() {
            pages += write_pages(child, directory)?;
        }
    }
    Ok(pages)
}
