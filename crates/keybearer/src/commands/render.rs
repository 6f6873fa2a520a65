//! `keybearer workspace render`: a workspace's services for another supervisor.

use std::collections::HashSet;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use domain::WorkspaceId;
use runtime::render::{self, is_written_here, may_be_unit, script_of};
use serde_json::json;

use super::chosen_workspace;
use super::run::up::plan::Plan;
use crate::client::{Api, NamedWorkspace};
use crate::failure::{Failure, Sort};
use crate::files::replace;
use crate::output::{Out, remark};

/// As much of a file as is read to see who wrote it, in bytes.
const HEAD_BYTES: u64 = 4096;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The workspace, by its id or its name; `KEYBEARER_WORKSPACE`, or the login's, unless given.
    workspace: Option<NamedWorkspace>,
    /// Units for systemd, with the scripts beside them. Units of the workspace that were written there before, and that it
    /// has no more, are removed.
    #[arg(long, conflicts_with = "compose", requires = "to")]
    systemd: bool,
    /// A file for Compose. Without --to it is printed.
    #[arg(long)]
    compose: bool,
    /// The directory to write into; it is made. A unit or Compose file that somebody else
    /// wrote is not replaced; a script goes with its unit.
    #[arg(long, value_name = "DIRECTORY")]
    to: Option<PathBuf>,
}

pub(super) async fn run(api: &Api, args: Args, out: Out) -> anyhow::Result<()> {
    if !args.systemd && !args.compose {
        return Err(Failure::usage("for whom? give --systemd or --compose").into());
    }
    let workspace = chosen_workspace(api, args.workspace.as_ref()).await?;
    let plan = Plan::read(api, workspace).await?;
    let Some(to) = args.to else {
        let services: Vec<_> = plan.services.into_iter().map(|it| it.service).collect();
        let file = render::compose(workspace, &services);
        match out.is_json() {
            true => out.json(&json!({ "name": file.name, "text": file.text })),
            false => out.file(&file.text)?,
        }
        return Ok(());
    };
    let cannot = || format!("cannot write into {}", to.display());
    std::fs::create_dir_all(&to).with_context(cannot)?;
    let directory = to.canonicalize().with_context(cannot)?;
    let shown = directory.to_str().context("the directory is not UTF-8")?;
    let services: Vec<_> = plan.services.into_iter().map(|it| it.service).collect();
    let files = if args.systemd {
        let scripts = plan.scripts.iter();
        let scripts = scripts.map(|due| (&due.script, due.content_sha256.as_str()));
        render::systemd(workspace, shown, &scripts.collect::<Vec<_>>(), &services)
    } else {
        vec![render::compose(workspace, &services)]
    };
    // All of them before the first is written.
    for file in &files {
        check_replaceable(workspace, &directory.join(&file.name), &file.text)?;
    }
    for file in &files {
        // A script is run by its own first line.
        let mode = match file.name.ends_with(".script") {
            true => 0o755,
            false => 0o644,
        };
        let path = directory.join(&file.name);
        replace(&path, mode, file.text.as_bytes())?;
        remark(&format!("Wrote {shown}/{}.", file.name));
    }
    let written: HashSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let removed = match args.systemd {
        true => remove_others(workspace, &directory, &written).with_context(cannot)?,
        false => Vec::new(),
    };
    for unit in &removed {
        remark(&format!(
            "Removed {shown}/{unit}, which the workspace has no more; where it runs: systemctl disable --now {unit}"
        ));
    }
    remark("No key is in them; each begins with how to give one.");
    if out.is_json() {
        let names: Vec<&String> = files.iter().map(|file| &file.name).collect();
        out.json(&json!({ "directory": shown, "written": names, "removed": removed }));
    }
    Ok(())
}

/// Refuses to replace what bears no line of ours, where what is written does.
fn check_replaceable(workspace: WorkspaceId, path: &Path, text: &str) -> anyhow::Result<()> {
    if !is_written_here(workspace, text) {
        return Ok(());
    }
    let there = match head(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        there => there.with_context(|| format!("cannot read {}", path.display()))?,
    };
    if is_written_here(workspace, &there) {
        return Ok(());
    }
    let message = format!("{} was not rendered for this workspace", path.display());
    Err(Failure::new(Sort::Failed, message)
        .hint("choose another directory, or move it away; what is to stay of a unit belongs in a drop-in")
        .into())
}

/// Removes the units that were rendered for the workspace here and that it has no more, each with its script.
fn remove_others(
    workspace: WorkspaceId,
    directory: &Path,
    written: &HashSet<&str>,
) -> std::io::Result<Vec<String>> {
    let mut removed = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let is_plain = entry.file_type().is_ok_and(|it| it.is_file());
        let is_other = !written.contains(name.as_str()) && may_be_unit(workspace, &name);
        if !is_plain || !is_other || !is_written_here(workspace, &head(&entry.path())?) {
            continue;
        }
        // The unit last: it is what leads to the script.
        let script = directory.join(script_of(&name));
        if script.symlink_metadata().is_ok_and(|it| it.is_file()) {
            std::fs::remove_file(script)?;
        }
        std::fs::remove_file(entry.path())?;
        removed.push(name);
    }
    removed.sort_unstable();
    Ok(removed)
}

/// The beginning of a file.
fn head(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(HEAD_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
