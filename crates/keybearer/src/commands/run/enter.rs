//! The hidden command that becomes a program.

use std::ffi::OsString;
use std::process::ExitCode;

use runtime::Entry;

/// What [`stage`] writes. Nobody else calls this command.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    starter: u32,
    #[arg(required = true, last = true)]
    command: Vec<OsString>,
}

/// The name of the command; nothing that anybody would type.
pub(crate) const NAME: &str = "run-stage";

/// The arguments of this binary that make it become `program`.
pub(super) fn stage(program: OsString, arguments: Vec<OsString>) -> Vec<OsString> {
    let own = [
        NAME.into(),
        "--starter".into(),
        std::process::id().to_string().into(),
        "--".into(),
        program,
    ];
    own.into_iter().chain(arguments).collect()
}

/// Becomes the program. Returns only when that fails, with the exit code that a shell would have.
#[expect(
    clippy::print_stderr,
    reason = "the program's user must hear why it did not start"
)]
pub(crate) fn run(args: Args) -> ExitCode {
    let mut command = args.command;
    let program = command.remove(0);
    let shown = program.to_string_lossy().into_owned();
    let error = runtime::enter(Entry {
        starter: args.starter,
        program,
        arguments: command,
    });
    eprintln!("error: cannot run {shown}: {error}");
    match error.kind() {
        std::io::ErrorKind::NotFound => ExitCode::from(127),
        _ => ExitCode::from(126),
    }
}
