//! `keybearer status`: what goes through a workspace now, and what it costs; once, or as it happens.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Write, stdout};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::usage::{Sum, dollars, row, sums_by_model};
use super::when::Moment;
use super::workspace::Which;
use crate::client::Api;
use crate::failure::{Failure, Sort};
use crate::output::{
    Narrow, Out, Screen, Table, cell, counted, fitted, printable, remark, screen, wrapped,
};
use crate::sources;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Go on until it is interrupted: redrawn on a terminal until q is typed, else one line for each call, first those since --since, then
    /// each as it ends. With --json each line is a JSON object. A look that fails is said and tried again.
    #[arg(short, long)]
    watch: bool,
    /// Count calls from when on: a date, or how long ago.
    #[arg(long, value_name = "WHEN", default_value = "1h")]
    since: Moment,
    /// Seconds between two looks.
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
}

/// The most calls that are kept in mind: of more than this the newest.
const MOST: usize = 5_000;
/// How far each look goes back: a call is written a moment after it ended.
const OVERLAP_MS: i64 = 60_000;
/// How many calls are shown.
const SHOWN: usize = 10;
/// How the calls become narrower: a number that is shown is shown whole.
const NARROW_CALLS: Narrow = Narrow {
    first: &["MS", "KEY"],
    cut: &["MODEL", "STATUS"],
    last: &["OUT", "IN", "CREDITS"],
};
/// How the sums become narrower.
const NARROW_SUMS: Narrow = Narrow {
    first: &[],
    cut: &[""],
    last: &["OUT", "IN", "FAILED", "CREDITS"],
};

/// Of a moment its time: the day stands above.
fn time_of_day(moment: &str) -> String {
    moment.get(11..19).unwrap_or(moment).to_owned()
}

/// What was seen of the workspace so far.
struct View {
    path: String,
    since: String,
    /// By the moment of their end and by id, so that the newest are last.
    calls: BTreeMap<(String, String), Value>,
    /// Whether there were more calls than are kept, so that the sums are of the newest.
    truncated: bool,
    /// The caller's account's; `None` where the caller may not see them.
    credits: Option<Value>,
    /// Why the last look failed.
    trouble: Option<String>,
    fresh: BTreeSet<(String, String)>,
}

pub(crate) async fn run(api: &Api, args: Args, out: Out) -> anyhow::Result<ExitCode> {
    let now = sources::system().now();
    let mut view = View {
        path: args.which.path(api, "/usage").await?,
        since: args.since.before(now),
        calls: BTreeMap::new(),
        truncated: false,
        credits: None,
        trouble: None,
        fresh: BTreeSet::new(),
    };
    view.look(api).await?;
    if !args.watch {
        if out.is_json() {
            out.json(&view.json(api));
        } else {
            let mut lines = view.head(api, out, None);
            lines.extend(view.newest(out, SHOWN, None));
            out.lines(&lines);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if out.is_terminal() {
        // Before the screen: from then on no signal comes too early to give that back.
        let mut stop = Stop::new()?;
        stop.suspend = Some(signal(SignalKind::from_raw(SUSPEND))?);
        let screen = Screen::take();
        stop.quit = Some(screen.quit()?);
        let ended = view
            .redraw_until_stopped(api, out, args.interval, stop, &screen)
            .await;
        // Before an error is printed.
        drop(screen);
        ended?;
    } else {
        view.follow(api, out, args.interval).await?;
    }
    Ok(ExitCode::SUCCESS)
}

impl View {
    /// Reads what ended since the last look.
    async fn look(&mut self, api: &Api) -> anyhow::Result<()> {
        let from = match self.calls.last_key_value() {
            None => self.since.clone(),
            Some(((newest, _), _)) => newest
                .parse::<domain::Timestamp>()
                .map_or_else(
                    |_| self.since.clone(),
                    |at| at.plus_millis(-OVERLAP_MS).to_string(),
                )
                .max(self.since.clone()),
        };
        self.fresh.clear();
        let read = api.list(&self.path, &[("from", from)], MOST).await?;
        self.truncated |= read["next"].is_string();
        for call in read["data"].as_array().into_iter().flatten() {
            let key = (cell(&call["at"]), cell(&call["request_id"]));
            if self.calls.insert(key.clone(), call.clone()).is_none() {
                self.fresh.insert(key);
            }
        }
        while self.calls.len() > MOST {
            self.calls.pop_first();
            self.truncated = true;
        }
        // A caller may be allowed one and not the other.
        self.credits = match api.get("/api/v1/users/me/credits").await {
            Ok(credits) => Some(credits),
            Err(error) if Failure::sort_of(&error) == Sort::Denied => None,
            Err(error) => return Err(error),
        };
        Ok(())
    }

    fn sum(&self) -> Sum {
        let mut sum = Sum::default();
        self.calls.values().for_each(|call| sum.add(call));
        sum
    }

    fn json(&self, api: &Api) -> Value {
        let newest = self.calls.values().rev().take(SHOWN);
        json!({
            "server": api.address(), "since": self.since, "total": self.sum().json("total"), "truncated": self.truncated,
            "by_model": sums_by_model(self.calls.values()).iter().map(|(name, sum)| sum.json(name)).collect::<Vec<_>>(),
            "credits": self.credits, "recent": newest.collect::<Vec<_>>(),
        })
    }

    /// What it comes to, as lines that fit into so many columns.
    fn head(&self, api: &Api, out: Out, columns: Option<usize>) -> Vec<String> {
        let sum = self.sum();
        let credits = match &self.credits {
            Some(credits) => format!(
                "your account's credits: {} left",
                printable(&cell(&credits["remaining"]))
            ),
            None => "your account's credits are not shown to you".to_owned(),
        };
        let of = match self.truncated {
            true => "the newest ",
            false => "",
        };
        let sums = format!(
            "since {}: {of}{}, {} failed, {} tokens in, {} out, {}",
            self.since,
            counted(sum.calls, "call", "calls"),
            sum.failed,
            sum.input_tokens,
            sum.output_tokens,
            dollars(sum.cost)
        );
        let lines = [format!("{}  {credits}", api.address()), sums];
        let mut lines: Vec<String> = match columns {
            None => lines.into(),
            Some(columns) => lines.iter().flat_map(|it| wrapped(it, columns)).collect(),
        };
        lines.push(self.trouble.as_deref().map_or_else(String::new, printable));
        let models = sums_by_model(self.calls.values());
        let models = models.iter().take(5).map(|(name, sum)| sum.row(name));
        let models = Table::new(&super::usage::SUM_TITLES, models.collect());
        lines.extend(models.lines(out, columns, NARROW_SUMS));
        lines.push(String::new());
        lines
    }

    /// So many calls, the newest first, as lines that fit into so many columns.
    fn newest(&self, out: Out, shown: usize, columns: Option<usize>) -> Vec<String> {
        let newest = self.calls.values().rev().take(shown);
        let newest = newest.map(|call| {
            let mut row = row(call);
            if columns.is_some() {
                row[0] = time_of_day(&row[0]);
            }
            row
        });
        Table::new(&super::usage::TITLES, newest.collect()).lines(out, columns, NARROW_CALLS)
    }

    async fn redraw_until_stopped(
        &mut self,
        api: &Api,
        out: Out,
        interval: u64,
        mut stop: Stop,
        screen_taken: &Screen,
    ) -> anyhow::Result<()> {
        loop {
            let (rows, columns) = screen(stdout());
            let (rows, columns) = (usize::from(rows).saturating_sub(1), usize::from(columns));
            let mut lines = self.head(api, out, Some(columns));
            // Below their titles.
            let shown = rows.saturating_sub(lines.len() + 1).clamp(1, 200);
            lines.extend(self.newest(out, shown, Some(columns)));
            let mut frame = String::from("\u{1b}[H");
            for line in lines.iter().take(rows) {
                frame.push_str(&fitted(line, columns));
                frame.push_str("\u{1b}[K\r\n");
            }
            frame.push_str("\u{1b}[J");
            if write!(stdout(), "{frame}")
                .and_then(|()| stdout().flush())
                .is_err()
            {
                return Ok(());
            }
            match self.next_look(api, &mut stop, interval).await? {
                None => {}
                Some(Told::Suspend) => screen_taken.suspend(),
                Some(Told::End) => return Ok(()),
            }
        }
    }

    /// One line for each call: those that ended since the beginning, then each as it ends.
    async fn follow(&mut self, api: &Api, out: Out, interval: u64) -> anyhow::Result<()> {
        let mut stop = Stop::new()?;
        let mut said = None;
        loop {
            if self.trouble != said {
                said.clone_from(&self.trouble);
                remark(said.as_deref().unwrap_or("The server answers again."));
            }
            for key in &self.fresh {
                let call = &self.calls[key];
                let line = if out.is_json() {
                    call.to_string()
                } else {
                    let cells = row(call);
                    let cells: Vec<String> = cells.iter().map(|cell| printable(cell)).collect();
                    cells.join("\t")
                };
                let written = writeln!(stdout(), "{line}");
                if written.and_then(|()| stdout().flush()).is_err() {
                    return Ok(());
                }
            }
            if self.next_look(api, &mut stop, interval).await?.is_some() {
                return Ok(());
            }
        }
    }

    /// Waits and looks again, unless somebody says otherwise first. A look that fails may succeed the next time, unless the
    /// server says that it is not for the caller.
    async fn next_look(
        &mut self,
        api: &Api,
        stop: &mut Stop,
        seconds: u64,
    ) -> anyhow::Result<Option<Told>> {
        let look = async {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            self.look(api).await
        };
        let looked = tokio::select! {
            told = stop.told() => return Ok(Some(told)),
            looked = look => looked,
        };
        self.trouble = match looked {
            Ok(()) => None,
            Err(error) => match Failure::sort_of(&error) {
                Sort::NotLoggedIn | Sort::Denied | Sort::Missing => return Err(error),
                _ => Some(format!("{error:#}")),
            },
        };
        Ok(None)
    }
}

/// The number of `SIGTSTP`, which Control-Z sends.
const SUSPEND: i32 = runtime::program::Signal::TSTP.as_raw();

/// What somebody wants of the view.
enum Told {
    End,
    /// To stop until it is continued.
    Suspend,
}

/// Somebody who ends the view: Control-C, whoever ends programs, or a `q` at the terminal. Or who suspends it.
struct Stop {
    quit: Option<oneshot::Receiver<()>>,
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    leave: Signal,
    /// `None`: nothing is there that has to be given back first.
    suspend: Option<Signal>,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            quit: None,
            suspend: None,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            leave: signal(SignalKind::quit())?,
        })
    }

    async fn told(&mut self) -> Told {
        let Self {
            quit,
            interrupt,
            terminate,
            hangup,
            leave,
            suspend,
        } = self;
        let typed = async {
            if let Some(told) = quit {
                if told.await.is_ok() {
                    return;
                }
                // Who can type nothing more can still interrupt.
                *quit = None;
            }
            std::future::pending().await
        };
        let suspended = async {
            match suspend {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = typed => Told::End,
            _ = interrupt.recv() => Told::End,
            _ = terminate.recv() => Told::End,
            _ = hangup.recv() => Told::End,
            _ = leave.recv() => Told::End,
            _ = suspended => Told::Suspend,
        }
    }
}
