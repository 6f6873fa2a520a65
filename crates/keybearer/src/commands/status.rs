//! `keybearer status`: what goes through a workspace now, and what it costs; once, or as it happens.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Write, stdout};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::usage::{Sum, dollars, row, sums_by_model};
use super::when::Moment;
use super::workspace::Which;
use crate::client::Api;
use crate::output::{Out, cell, fitted, printable, screen};
use crate::sources;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Go on until it is interrupted: redrawn on a terminal, else one line for each call as it ends.
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

/// What was seen of the workspace so far.
struct View {
    path: String,
    since: String,
    /// By the moment of their end and by id, so that the newest are last.
    calls: BTreeMap<(String, String), Value>,
    /// `None` where the caller may not see them.
    credits: Option<Value>,
    fresh: BTreeSet<(String, String)>,
}

pub(crate) async fn run(api: &Api, args: Args, out: Out) -> anyhow::Result<ExitCode> {
    let now = sources::system().now();
    let mut view = View {
        path: args.which.path(api, "/usage").await?,
        since: args.since.before(now),
        calls: BTreeMap::new(),
        credits: None,
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
        let _ = write!(stdout(), "\u{1b}[?1049h\u{1b}[?25l");
        let ended = view.redraw_until_interrupted(api, out, args.interval).await;
        let _ = write!(stdout(), "\u{1b}[?25h\u{1b}[?1049l");
        let _ = stdout().flush();
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
        let read = api.list(&self.path, &[("from", from)], MOST).await?;
        self.fresh.clear();
        for call in read["data"].as_array().into_iter().flatten() {
            let key = (cell(&call["at"]), cell(&call["request_id"]));
            if self.calls.insert(key.clone(), call.clone()).is_none() {
                self.fresh.insert(key);
            }
        }
        while self.calls.len() > MOST {
            self.calls.pop_first();
        }
        // Nothing that the view depends on; a caller may be allowed one and not the other.
        self.credits = api.get("/api/v1/users/me/credits").await.ok();
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
            "server": api.address(), "since": self.since, "total": self.sum().json("total"),
            "by_model": sums_by_model(self.calls.values()).iter().map(|(name, sum)| sum.json(name)).collect::<Vec<_>>(),
            "credits": self.credits, "recent": newest.collect::<Vec<_>>(),
        })
    }

    /// The whole view as lines, with so many calls.
    fn lines(&self, api: &Api, out: Out, shown: usize) -> Vec<String> {
        let sum = self.sum();
        let credits = match &self.credits {
            Some(credits) => format!("{} credits left", cell(&credits["remaining"])),
            None => "credits not shown to you".to_owned(),
        };
        let mut lines = vec![
            format!("{}  {credits}", api.address()),
            format!(
                "since {}: {} calls, {} failed, {} tokens in, {} out, {}",
                self.since,
                sum.calls,
                sum.failed,
                sum.input_tokens,
                sum.output_tokens,
                dollars(sum.cost_nano_usd)
            ),
            String::new(),
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
        let newest: Vec<Vec<String>> = newest.collect();
        lines.extend(out.table_lines(&super::usage::TITLES, &newest));
        lines
    }

    async fn redraw_until_interrupted(
        &mut self,
        api: &Api,
        out: Out,
        interval: u64,
    ) -> anyhow::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        loop {
            let (rows, columns) = screen();
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
            if !self.next_look(api, &mut interrupt, interval).await? {
                return Ok(());
            }
        }
    }

    /// One line for each call that ends from now on.
    async fn follow(&mut self, api: &Api, out: Out, interval: u64) -> anyhow::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        loop {
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
            if !self.next_look(api, &mut interrupt, interval).await? {
                return Ok(());
            }
        }
    }

    /// Waits and looks again; false when somebody interrupts.
    async fn next_look(
        &mut self,
        api: &Api,
        interrupt: &mut Signal,
        seconds: u64,
    ) -> anyhow::Result<bool> {
        let look = async {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            self.look(api).await
        };
        tokio::select! {
            _ = interrupt.recv() => Ok(false),
            looked = look => looked.map(|()| true),
        }
    }
}
