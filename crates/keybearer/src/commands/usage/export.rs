//! `keybearer usage export`: the calls of a workspace as comma-separated values.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::ensure;
use http::header::LINK;
use reqwest::Method;
use url::form_urlencoded::{Serializer, parse};

use super::filter::Filter;
use crate::client::Api;
use crate::commands::when::Moment;
use crate::commands::workspace::Which;
use crate::output::{Out, PrintableStream, Progress, counted, deliver};
use crate::sources;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// From when on: a date, or how long ago, such as `24h` or `30d`.
    #[arg(long, value_name = "WHEN", default_value = "30d")]
    since: Moment,
    /// Until when.
    #[arg(long, value_name = "WHEN")]
    until: Option<Moment>,
    /// Only calls that ended so: `ok`, `failed`, or one status such as `429`.
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    #[command(flatten)]
    filter: Filter,
}

pub(super) async fn run(api: &Api, args: Args, out: Out) -> anyhow::Result<ExitCode> {
    let now = sources::system().now();
    let mut query = Serializer::new(String::new());
    query.append_pair("from", &args.since.before(now));
    if let Some(until) = &args.until {
        query.append_pair("to", &until.before(now));
    }
    if let Some(status) = &args.status {
        query.append_pair("status", status);
    }
    args.filter.add_to(&mut query);
    let query = query.finish();
    if out.is_json() {
        let path = args.which.path(api, "/usage").await?;
        let query: Vec<(Cow<'_, str>, Cow<'_, str>)> = parse(query.as_bytes()).collect();
        let query = query.iter();
        let query: Vec<(&str, String)> = query
            .map(|(name, value)| (name.as_ref(), value.to_string()))
            .collect();
        let mut lead = "{\"data\":[";
        let parts = api.list_parts(&path, &query, |calls| {
            let mut text = String::new();
            for call in calls {
                text.push_str(lead);
                text.push_str(&call.to_string());
                lead = ",";
            }
            match out.json_piece(&text) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        parts.await?;
        // Where the reader has seen enough, that goes nowhere, too.
        let lead = if lead == "," { "" } else { lead };
        let _ = out.json_piece(&format!("{lead}],\"next\":null}}\n"));
        return Ok(ExitCode::SUCCESS);
    }
    let path = args.which.path(api, "/usage.csv").await?;
    let mut next = Some(format!("{path}?{query}"));
    let mut printable = PrintableStream::default();
    let mut is_first = true;
    let mut progress = Progress::beside_output();
    let all = match progress.is_seen() {
        // No sum is of one way to end.
        true if args.status.is_none() => how_many(api, &args.which, &query).await,
        _ => None,
    };
    let mut count = 0;
    while let Some(part) = next {
        let response = api.exchange(Method::GET, &part, None).await?;
        if !response.status().is_success() {
            return Err(api.refusal(response).await);
        }
        let link = response.headers().get(LINK).cloned();
        let text = response.text().await.map_err(|error| api.cut(error))?;
        let Some((titles, calls)) = text.split_once("\r\n") else {
            anyhow::bail!("the server's answer has no line of titles");
        };
        ensure!(
            titles.starts_with("at,"),
            "the server's answer is no export"
        );
        let shown = if is_first { &text } else { calls };
        // What callers named their models is in it.
        let shown = match out.meets_terminal() {
            true => printable.with(shown.as_bytes()),
            false => shown.to_owned(),
        };
        if deliver(shown.as_bytes()).is_err() {
            break;
        }
        is_first = false;
        // A field may hold a line break, in quotes; for a line of progress that is near enough.
        count += calls.matches("\r\n").count();
        let text = format!("{} read", counted(count, "call", "calls"));
        match all {
            Some(all) => progress.show_of(count as u64, all, &text),
            None => progress.show(&text),
        }
        next = link.and_then(|link| target(link.to_str().ok()?));
    }
    Ok(ExitCode::SUCCESS)
}

/// How many calls there are, by the sums that the server keeps. They are of whole days, which is near enough for a bar, and only
/// that needs it: where it is not answered there is none.
async fn how_many(api: &Api, which: &Which, query: &str) -> Option<u64> {
    let path = which.path(api, "/usage/summary").await.ok()?;
    let mut days = Serializer::new(String::new());
    for (name, value) in parse(query.as_bytes()) {
        let value = match name.as_ref() {
            "from" | "to" => value.get(..10)?,
            _ => &*value,
        };
        days.append_pair(&name, value);
    }
    let summary = api.get(&format!("{path}?{}", days.finish())).await.ok()?;
    summary["total"]["calls"].as_u64()
}

/// The path behind `rel="next"`.
fn target(link: &str) -> Option<String> {
    let (target, rest) = link.strip_prefix('<')?.split_once('>')?;
    rest.contains("rel=\"next\"").then(|| target.to_owned())
}
