//! How an instance is to be started.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, RwLock};

use super::caller;
use super::database::{Database, Engine};
use super::process::{Process, read};
use super::{Record, TestApp};
use crate::provider::ScriptedProvider;

/// The options of an instance to be. Everything that is not said keeps the binary's own default.
#[derive(Debug, Clone)]
pub struct Builder {
    binary: PathBuf,
    engine: Option<Engine>,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    providers: BTreeMap<String, String>,
}

/// How a run of the binary ended.
#[derive(Debug, Clone)]
pub struct Exit {
    /// Its status.
    pub status: ExitStatus,
    /// All it printed.
    pub stdout: String,
    /// All it logged.
    pub stderr: String,
}

impl Builder {
    pub(crate) fn new(binary: PathBuf) -> Self {
        let environment = [
            ("KEYBEARER_LISTEN", "127.0.0.1:0"),
            ("KEYBEARER_ALLOW_ADDRESSES", "127.0.0.0/8,::1/128"),
            ("KEYBEARER_LOG", "trace"),
        ];
        Self {
            binary,
            engine: None,
            arguments: vec!["serve".to_owned()],
            environment: environment
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
            providers: BTreeMap::new(),
        }
    }

    /// Runs on this engine, whatever the test run asks for.
    #[must_use]
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Starts it with these arguments instead of `serve`.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.set_arguments(arguments);
        self
    }

    /// Like [`arguments`](Self::arguments), for a restart.
    pub fn set_arguments(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(|it| (*it).to_owned()).collect();
    }

    /// Sets a variable of the child's environment, which is empty otherwise but for `PATH` and `HOME`.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.set_env(name, value);
        self
    }

    /// Like [`env`](Self::env), for a restart.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// Unsets a variable, also one that the builder sets by itself.
    pub fn remove_env(&mut self, name: &str) {
        self.environment.remove(name);
    }

    /// Points a bundled provider (`openai`, `anthropic`, ...) at a scripted one: the bundled file with another
    /// host in its base URL.
    #[must_use]
    pub fn provider(self, id: &str, provider: &ScriptedProvider) -> Self {
        let text = provider_file(id, &provider.url());
        self.provider_text(id, &text)
    }

    /// As [`provider`](Self::provider), for the next start.
    pub fn set_provider(&mut self, id: &str, provider: &ScriptedProvider) {
        let text = provider_file(id, &provider.url());
        self.providers.insert(id.to_owned(), text);
    }

    /// Adds or replaces a provider file `id.toml` with this text.
    #[must_use]
    pub fn provider_text(mut self, id: &str, text: &str) -> Self {
        self.providers.insert(id.to_owned(), text.to_owned());
        self
    }

    /// Starts the instance and waits until it listens. Panics when it does not.
    pub async fn start(self) -> TestApp {
        self.try_start()
            .await
            .unwrap_or_else(|exit| panic!("the binary did not start: {exit}"))
    }

    /// Starts the instance; `Err` when the binary ended instead of listening.
    ///
    /// # Errors
    /// How the binary ended and what it said.
    pub async fn try_start(self) -> Result<TestApp, Exit> {
        let dir = tempfile::Builder::new()
            .prefix("kb-test-")
            .tempdir()
            .expect("a temp dir");
        self.try_start_in(dir).await
    }

    /// Like [`try_start`](Self::try_start), in a directory that the test has prepared. It is private to its
    /// owner; the binary makes `data/` in it.
    ///
    /// # Errors
    /// How the binary ended and what it said.
    pub async fn try_start_in(self, dir: tempfile::TempDir) -> Result<TestApp, Exit> {
        let engine = self.engine.unwrap_or_else(Engine::from_environment);
        let database = Database::create(engine).await;
        let (process, url) = self.spawn(dir.path(), &database.url(dir.path())).await?;
        Ok(TestApp {
            builder: self,
            dir,
            database,
            process: Some(process),
            url: Arc::new(RwLock::new(url)),
            client: caller::client(),
            record: Arc::new(Record::default()),
        })
    }

    pub(crate) async fn spawn(
        &self,
        dir: &Path,
        database: &str,
    ) -> Result<(Process, String), Exit> {
        let stdout = dir.join("stdout");
        let skip = read(&stdout).len();
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let mut process = Process::start(&mut self.command(dir, database, &arguments), dir);
        match process.listening(&stdout, skip).await {
            Ok(url) => Ok((process, url)),
            Err(status) => Err(Exit {
                status,
                stdout: read(&stdout),
                stderr: read(&dir.join("stderr")),
            }),
        }
    }

    pub(crate) async fn run(
        &self,
        dir: &Path,
        database: &str,
        arguments: &[&str],
        input: &str,
    ) -> Exit {
        let output = tempfile::Builder::new()
            .prefix("run-")
            .tempdir_in(dir)
            .expect("a temp dir");
        // The server's own files are left alone; what this run prints stays in `dir` for the search.
        let output = output.keep();
        let mut command = self.command(dir, database, arguments);
        // Outside the searched directory: what the test types is not something the binary left behind.
        let mut typed = tempfile::tempfile().expect("a temp file");
        typed
            .write_all(input.as_bytes())
            .and_then(|()| typed.rewind())
            .expect("a temp file can be written");
        command.stdin(typed);
        let mut process = Process::start(&mut command, &output);
        Exit {
            status: process.wait().await,
            stdout: read(&output.join("stdout")),
            stderr: read(&output.join("stderr")),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the child finds its programs where the test does"
    )]
    fn command(&self, dir: &Path, database: &str, arguments: &[&str]) -> Command {
        let temp = dir.join("tmp");
        std::fs::create_dir_all(&temp).expect("the test's directory can be written");
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .current_dir(dir)
            .stdin(Stdio::null())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", dir)
            // The binary's own temporary files are searched for keys too.
            .env("TMPDIR", temp)
            .env("RUST_BACKTRACE", "1")
            .env("KEYBEARER_DATA_DIR", dir.join("data"))
            .env("KEYBEARER_DATABASE_URL", database);
        if !self.providers.is_empty() {
            let providers = dir.join("providers");
            std::fs::create_dir_all(&providers).expect("the test's directory can be written");
            for (id, text) in &self.providers {
                std::fs::write(providers.join(format!("{id}.toml")), text).expect("can be written");
            }
            command.env("KEYBEARER_PROVIDERS_DIR", providers);
        }
        command.envs(&self.environment);
        record(arguments);
        command
    }
}

/// Appends the arguments to the file that `KEYBEARER_TEST_COMMANDS` names, a line with tabs, for whoever wants to know
/// whether every command was run (`scripts/run_tests.py`).
#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the tests says where"
)]
fn record(arguments: &[&str]) {
    let Some(path) = std::env::var_os("KEYBEARER_TEST_COMMANDS") else {
        return;
    };
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    let line = arguments.join("\t").replace('\n', " ") + "\n";
    // One write, so that lines of tests that run at the same time do not mix.
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .expect("KEYBEARER_TEST_COMMANDS names a file that can be written");
}

impl Exit {
    /// Whether stdout or stderr says `text`.
    pub fn says(&self, text: &str) -> bool {
        self.stdout.contains(text) || self.stderr.contains(text)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\n--- stdout\n{}\n--- stderr\n{}",
            self.status, self.stdout, self.stderr
        )
    }
}

/// The text of a bundled provider file with `origin` (such as `http://127.0.0.1:1234`) in place of the scheme
/// and host of every base URL. The path stays.
pub fn provider_file(id: &str, origin: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../providers/{id}.toml"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut replaced = 0;
    let lines: Vec<_> = text
        .lines()
        .map(|line| {
            if !line.trim_start().starts_with("base_url") {
                return line.to_owned();
            }
            let Some(scheme) = line.find("https://") else {
                return line.to_owned();
            };
            let rest = &line[scheme + "https://".len()..];
            let host = rest.find(['/', '"', '\'']).unwrap_or(rest.len());
            replaced += 1;
            format!("{}{origin}{}", &line[..scheme], &rest[host..])
        })
        .collect();
    assert!(
        replaced > 0,
        "{} has no base_url over https",
        path.display()
    );
    lines.join("\n") + "\n"
}
