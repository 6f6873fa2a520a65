//! `keybearer status`: what goes through a workspace now, and what it costs; once, or as it happens.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Write, stdout};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};
use unicode_width::UnicodeWidthStr;

use super::usage::{Sum, dollars, row, sums_by_model};
use super::when::Moment;
use super::workspace::Which;
use crate::client::Api;
use crate::failure::{Failure, Sort};
use crate::output::{Out, Screen, cell, counted, fitted, printable, remark, screen};
use crate::sources;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Go on until it is interrupted: redrawn on a terminal, else one line for each call, first those since --since, then
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
/// How much of the names of a model and of a key a screen shows.
const MODEL_COLUMNS: usize = 24;
const KEY_COLUMNS: usize = 16;

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
            out.lines(&view.lines(api, out, SHOWN));
        }
        return Ok(ExitCode::SUCCESS);
    }
    if out.is_terminal() {
        let screen = Screen::take();
        let ended = view.redraw_until_stopped(api, out, args.interval).await;
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

    /// The whole view as lines, with so many calls.
    fn lines(&self, api: &Api, out: Out, shown: usize) -> Vec<String> {
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
        let mut lines = vec![
            format!("{}  {credits}", api.address()),
            format!(
                "since {}: {of}{}, {} failed, {} tokens in, {} out, {}",
                self.since,
                counted(sum.calls, "call", "calls"),
                sum.failed,
                sum.input_tokens,
                sum.output_tokens,
                dollars(sum.cost)
            ),
            self.trouble.as_deref().map_or_else(String::new, printable),
        ];
        let models = sums_by_model(self.calls.values());
        let models: Vec<Vec<String>> = models
            .iter()
            .take(5)
            .map(|(name, sum)| sum.row(name))
            .collect();
        lines.extend(out.table_lines(&super::usage::SUM_TITLES, &models));
        lines.push(String::new());
        let newest = self.calls.values().rev().take(shown).map(row);
        let newest: Vec<Vec<String>> = match out.is_terminal() {
            true => newest.map(narrow).collect(),
            false => newest.collect(),
        };
        lines.extend(out.table_lines(&super::usage::TITLES, &newest));
        lines
    }

    async fn redraw_until_stopped(
        &mut self,
        api: &Api,
        out: Out,
        interval: u64,
    ) -> anyhow::Result<()> {
        let mut stop = Stop::new()?;
        loop {
            let (rows, columns) = screen(stdout());
            let shown = usize::from(rows).saturating_sub(13).clamp(1, 200);
            let lines = self.lines(api, out, shown);
            let mut frame = String::from("\u{1b}[H");
            for line in lines.iter().take(usize::from(rows).saturating_sub(1)) {
                frame.push_str(&fitted(line, usize::from(columns)));
                frame.push_str("\u{1b}[K\r\n");
            }
            frame.push_str("\u{1b}[J");
            if write!(stdout(), "{frame}")
                .and_then(|()| stdout().flush())
                .is_err()
            {
                return Ok(());
            }
            if !self.next_look(api, &mut stop, interval).await? {
                return Ok(());
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
            if !self.next_look(api, &mut stop, interval).await? {
                return Ok(());
            }
        }
    }

    /// Waits and looks again; false when somebody stops it. A look that fails may succeed the next time, unless the
    /// server says that it is not for the caller.
    async fn next_look(
        &mut self,
        api: &Api,
        stop: &mut Stop,
        seconds: u64,
    ) -> anyhow::Result<bool> {
        let look = async {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            self.look(api).await
        };
        let looked = tokio::select! {
            () = stop.told() => return Ok(false),
            looked = look => looked,
        };
        self.trouble = match looked {
            Ok(()) => None,
            Err(error) => match Failure::sort_of(&error) {
                Sort::NotLoggedIn | Sort::Denied | Sort::Missing => return Err(error),
                _ => Some(format!("{error:#}")),
            },
        };
        Ok(true)
    }
}

/// Somebody who ends the view: Control-C, or whoever ends programs.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn told(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The cells of a call for a screen: how it ended is to be seen on 80 columns, too.
fn narrow(mut cells: Vec<String>) -> Vec<String> {
    if let Some(time) = cells[0].get(5..19) {
        cells[0] = time.replace('T', " ");
    }
    for (cell, most) in [(1, MODEL_COLUMNS), (2, KEY_COLUMNS)] {
        let text = printable(&cells[cell]);
        if text.width() > most {
            cells[cell] = format!("{}…", fitted(&text, most - 1));
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_call_ended_is_seen_on_eighty_columns() {
        let call = json!({
            "at": "2026-11-29T19:18:55.387Z", "provider": "my-provider", "model": "a-model-with-a-long-name",
            "key_label": "env.KEYBEARER_MY_PROVIDER_API_KEY", "status": 402, "error_code": "byok_key_missing",
        });
        let cells = narrow(row(&call));
        assert_eq!(
            &cells[..4],
            [
                "11-29 19:18:55",
                "my-provider/a-model-wit…",
                "env.KEYBEARER_M…",
                "402 byok_key_missing"
            ]
        );
        let columns: usize = cells[..4].iter().map(|cell| cell.width()).sum();
        assert!(columns + 3 * 2 <= 80);
    }
}
