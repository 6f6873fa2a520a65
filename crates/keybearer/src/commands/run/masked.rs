//! What a program says, passed on by this process without the keys that the program holds.

use std::io::{PipeReader, PipeWriter, Write, pipe, stderr, stdout};

use anyhow::Context;
use runtime::output::{Hidden, Output, pass_on};
use tokio::sync::oneshot;

use super::in_thread;

/// Its standard output and its standard error, while they are passed on.
pub(super) struct Masked {
    ended: [oneshot::Receiver<()>; 2],
    /// Open while the program may write more.
    running: PipeWriter,
}

impl Masked {
    /// Passes on what a program writes to the output that is returned.
    pub(super) fn begin(hidden: Hidden) -> anyhow::Result<(Self, Output)> {
        let no_pipe = "there is no pipe for what the program says";
        let (said, stdout_of_program) = pipe().context(no_pipe)?;
        let (complained, stderr_of_program) = pipe().context(no_pipe)?;
        let (program, running) = pipe().context(no_pipe)?;
        let other = program.try_clone().context(no_pipe)?;
        let ended = [
            spawn(said, program, hidden.clone(), stdout())?,
            spawn(complained, other, hidden, stderr())?,
        ];
        let output = Output {
            stdout: stdout_of_program,
            stderr: stderr_of_program,
        };
        Ok((Self { ended, running }, output))
    }

    /// Waits until all was passed on that was written by now, or nobody reads it any more.
    pub(super) async fn end(self) {
        drop(self.running);
        for ended in self.ended {
            // Also where the thread panicked.
            let _ = ended.await;
        }
    }
}

fn spawn(
    stream: PipeReader,
    program: PipeReader,
    hidden: Hidden,
    sink: impl Write + Send + 'static,
) -> anyhow::Result<oneshot::Receiver<()>> {
    let passing = in_thread("output", move || {
        // Who stops reading, as `head` does, has seen enough; the program is told when it writes more.
        let _ = pass_on(stream, &program, &hidden, sink);
    });
    passing.context("cannot pass on what the program says")
}
