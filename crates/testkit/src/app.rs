//! The real binary as a child process, with callers that speak to it over HTTP.

mod builder;
mod caller;
mod database;
mod people;
mod process;
mod record;

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, RwLock};

use tempfile::TempDir;

pub use builder::{Builder, Exit, provider_file};
pub use caller::{Auth, Caller, Reply, Streaming};
pub use database::Engine;
pub use people::{Owner, Person};

use crate::canary::{self, Canary};
use database::Database;
use process::Process;
use record::Record;

/// One running instance in a directory of its own. Ends with its value: the child is killed, its database
/// dropped, the directory removed.
pub struct TestApp {
    builder: Builder,
    dir: TempDir,
    database: Database,
    process: Option<Process>,
    url: Arc<RwLock<String>>,
    client: reqwest::Client,
    record: Arc<Record>,
}

impl TestApp {
    /// Describes an instance of the binary at `path`; pass `env!("CARGO_BIN_EXE_keybearer")`.
    pub fn builder(path: impl Into<PathBuf>) -> Builder {
        Builder::new(path.into())
    }

    /// `http://127.0.0.1:PORT`. Changes with a restart; callers follow.
    pub fn url(&self) -> String {
        self.url.read().expect("no panic while locked").clone()
    }

    /// Which database it runs on.
    pub fn engine(&self) -> Engine {
        self.database.engine()
    }

    /// The URL of its database.
    pub fn database_url(&self) -> String {
        self.database.url(self.dir.path())
    }

    /// The directory with everything that belongs to this instance: `data/`, `providers/`, `tmp/`, `stdout`,
    /// `stderr`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The binary's data directory: root key and, on SQLite, the database.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// What it printed so far, over all restarts.
    pub fn stdout(&self) -> String {
        process::read(&self.dir.path().join("stdout"))
    }

    /// What it logged so far, over all restarts.
    pub fn stderr(&self) -> String {
        process::read(&self.dir.path().join("stderr"))
    }

    /// The child's process id. Panics while none runs.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the binary runs").pid()
    }

    /// What the child has in memory (`VmRSS`), in bytes. Panics while none runs.
    pub fn resident_bytes(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
        let kib = line.and_then(|it| it.split_whitespace().next());
        let kib: usize = kib.expect("a line").parse().expect("a number");
        kib * 1024
    }

    /// Whether the child is still running.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    /// Kills the child at once, as a power cut would. Returns when it is gone.
    pub fn kill9(&mut self) {
        drop(self.process.take());
    }

    /// Starts the binary again on the same data, with the same options.
    pub async fn restart(&mut self) {
        self.kill9();
        let process = self
            .builder
            .spawn(self.dir.path(), &self.database_url())
            .await;
        let (process, url) = process.unwrap_or_else(|exit| panic!("no restart: {exit}"));
        *self.url.write().expect("no panic while locked") = url;
        self.process = Some(process);
    }

    /// The options for the next [`restart`](Self::restart).
    pub fn builder_mut(&mut self) -> &mut Builder {
        &mut self.builder
    }

    /// Asks the child to end (SIGTERM) and waits for it, at most 60 seconds.
    pub async fn terminate(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("the binary runs");
        process.terminate();
        process.wait().await
    }

    /// Runs the binary with other arguments on the same data and environment, and waits for it.
    /// Meant for `doctor`, while no server runs.
    pub async fn run(&self, arguments: &[&str]) -> Exit {
        self.run_with_input(arguments, "").await
    }

    /// Like [`run`](Self::run), with this text on standard input.
    pub async fn run_with_input(&self, arguments: &[&str], input: &str) -> Exit {
        let url = self.database_url();
        self.builder
            .run(self.dir.path(), &url, arguments, input)
            .await
    }

    /// Sends bytes over a socket and returns all that comes back until the server closes, at most 15 seconds.
    pub async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let reply = caller::raw(&self.url(), bytes).await;
        self.record.keep("raw socket", &reply);
        reply
    }

    /// A caller without credentials.
    pub fn anonymous(&self) -> Caller {
        self.caller("anonymous", Auth::None)
    }

    /// A caller with these credentials. `name` stands in messages.
    pub fn caller(&self, name: &str, auth: Auth) -> Caller {
        Caller::new(
            name,
            auth,
            Arc::clone(&self.url),
            self.client.clone(),
            Arc::clone(&self.record),
        )
    }

    /// Everything that a key may have reached: all replies to all callers, output and logs, every file of the
    /// instance, the live process's arguments and environment, and all rows. Panics when a key is found.
    pub async fn assert_no_leak(&self, canary: &Canary) {
        let sweep = self.sweep(canary).await;
        sweep.assert_clean();
    }

    /// The search of [`assert_no_leak`](Self::assert_no_leak), without the verdict.
    pub async fn sweep(&self, canary: &Canary) -> canary::Sweep {
        let mut sweep = canary.sweep();
        self.record.each(|place, bytes| {
            sweep.bytes(place, bytes);
        });
        sweep.path(self.dir.path());
        if let Some(process) = &self.process {
            for name in ["cmdline", "environ"] {
                let path = format!("/proc/{}/{name}", process.pid());
                if let Ok(bytes) = std::fs::read(&path) {
                    sweep.bytes(&path, &bytes);
                }
            }
        }
        for (place, bytes) in self.database.dump(self.dir.path()).await {
            sweep.bytes(&place, &bytes);
        }
        for path in self.database.files(self.dir.path()).await {
            sweep.path(&path);
        }
        sweep
    }
}
