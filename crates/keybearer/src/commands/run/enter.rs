//! The hidden command that becomes a program.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

use runtime::sandbox::{Held, Sandbox};
use runtime::{EnterError, Entry};

use super::walls;
use crate::failure::{self, Failure, Sort};
use crate::output::{complain, is_quiet, tell};

/// What [`stage`] writes. Nobody else calls this command.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    starter: u32,
    #[arg(long)]
    secrets: Option<i32>,
    #[arg(long)]
    walls: bool,
    #[arg(long)]
    best_effort: bool,
    #[arg(long)]
    names: bool,
    #[arg(long)]
    network: bool,
    #[arg(long)]
    read: Vec<PathBuf>,
    #[arg(long)]
    write: Vec<PathBuf>,
    #[arg(long)]
    port: Vec<u16>,
    #[arg(required = true, last = true)]
    command: Vec<OsString>,
}

/// The name of the command; nothing that anybody would type.
pub(crate) const NAME: &str = "run-stage";

/// The arguments of this binary that make it become `program`.
pub(super) fn stage(
    sandbox: Option<&Sandbox>,
    secrets: Option<i32>,
    program: OsString,
    arguments: Vec<OsString>,
) -> Vec<OsString> {
    let mut stage: Vec<OsString> = vec![
        NAME.into(),
        "--starter".into(),
        std::process::id().to_string().into(),
    ];
    if is_quiet() {
        stage.push("--json".into());
    }
    if let Some(descriptor) = secrets {
        stage.push("--secrets".into());
        stage.push(descriptor.to_string().into());
    }
    stage.extend(sandbox.map(walls::arguments).unwrap_or_default());
    stage.push("--".into());
    stage.push(program);
    stage.extend(arguments);
    stage
}

/// Becomes the program. Returns only when that fails, with the exit code that a shell would have.
pub(crate) fn run(args: Args, as_json: bool) -> ExitCode {
    let mut command = args.command;
    let program = command.remove(0);
    let shown = program.to_string_lossy().into_owned();
    let sandbox = args.walls.then_some(Sandbox {
        best_effort: args.best_effort,
        read: args.read,
        write: args.write,
        ports: args.port,
        names: args.names,
        network: args.network,
    });
    let walled = sandbox.is_some();
    let entry = Entry {
        starter: args.starter,
        secrets: args.secrets,
        sandbox,
        program,
        arguments: command,
    };
    let error = runtime::enter(entry, |held| {
        let part = match held {
            Held::CallsOnly => "neither files nor ports, only system calls",
            Held::Partly | Held::Wholly => "only a part",
        };
        tell(&format!(
            "warning: this kernel limits {part}; the program is not fully in a sandbox"
        ));
    });
    let message = format!("cannot run {shown}: {}", causes(&error));
    let failure = Failure::new(Sort::Failed, message);
    let (failure, code) = match error {
        EnterError::System(error) if error.kind() == ErrorKind::NotFound => {
            let hint = "is it installed, and its directory in PATH?";
            (failure.hint(hint), 127)
        }
        EnterError::System(error) if walled && error.kind() == ErrorKind::PermissionDenied => {
            let hint = "the sandbox may not open where it lies; --allow-read PATH does";
            (failure.hint(hint), 126)
        }
        EnterError::System(_) | EnterError::Sandbox(_) => (failure, 126),
    };
    complain(&failure::text_with(&failure.into(), as_json, code));
    ExitCode::from(code)
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
