//! `keybearer api`: any operation of the server, as the one who is logged in.

use std::io::{Read, stdin};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response};
use serde_json::{Map, Value};

use crate::client::{Api, Body};
use crate::failure::Failure;
use crate::output::{Out, PrintableStream, Progress, deliver};

/// Fields that hold secrets: what is given as an argument is seen by everybody on the machine.
const SECRET_FIELDS: [&str; 6] = [
    "key",
    "api_key",
    "password",
    "current_password",
    "new_password",
    "token",
];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    #[arg(value_parser = method)]
    method: Method,
    /// The path, such as `/api/v1/me`. An address of another server is refused. `{workspace}` stands for the workspace.
    path: String,
    #[command(flatten)]
    body: BodyArgs,
}

/// What is sent, as a file or field by field.
#[derive(clap::Args)]
pub(crate) struct BodyArgs {
    /// Send this file as a JSON body; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "field")]
    input: Option<PathBuf>,
    /// Send a JSON object with this field; can be repeated. `true`, `false`, `null` and whole numbers are sent as such,
    /// other values as text, `@FILE` as the file's text and `@-` as standard input's. Secrets only so.
    #[arg(short = 'F', long, value_name = "NAME=VALUE")]
    field: Vec<String>,
}

impl BodyArgs {
    /// The body, if anything is to be sent.
    fn bytes(&self) -> anyhow::Result<Option<Vec<u8>>> {
        match &self.input {
            Some(file) => read(file).map(Some),
            None if self.field.is_empty() => Ok(None),
            None => Ok(Some(fields(&self.field)?.to_string().into_bytes())),
        }
    }

    /// The same as JSON, for an operation that takes an object.
    pub(super) fn object(&self) -> anyhow::Result<Value> {
        let bytes = self.bytes()?;
        let bytes = bytes.ok_or_else(|| {
            Failure::usage("nothing to change").hint("give --field NAME=VALUE or --input FILE")
        })?;
        // The parser's own text could repeat what was read.
        let value: Option<Value> = serde_json::from_slice(&bytes).ok();
        let value = value.filter(Value::is_object);
        value.context("the input is not a JSON object")
    }
}

fn method(text: &str) -> Result<Method, String> {
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let upper = text.to_ascii_uppercase();
    let method = known.contains(&upper.as_str()).then(|| upper.parse().ok());
    method
        .flatten()
        .ok_or_else(|| format!("one of {}", known.join(", ")))
}

pub(crate) async fn run(api: &Api, args: Args, out: Out) -> anyhow::Result<ExitCode> {
    let path = if args.path.contains("{workspace}") {
        let workspace = api.workspace().await?;
        args.path.replace("{workspace}", &workspace.to_string())
    } else {
        args.path
    };
    let body = args.body.bytes()?.map(|bytes| Body {
        content_type: "application/json",
        bytes,
    });
    let response = api.exchange(args.method, &path, body).await?;
    if !response.status().is_success() {
        return Err(api.refusal(response).await);
    }
    let is_json = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if is_json && out.is_terminal() {
        out.document(&api.document(response).await?);
        return Ok(ExitCode::SUCCESS);
    }
    match print(api, response, out).await? {
        None if out.is_json() => out.json(&Value::Null),
        None | Some(b'\n') => {}
        Some(_) => {
            let _ = deliver(b"\n");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints an answer piece by piece, so that a stream is seen as it comes, and returns its last byte.
pub(super) async fn print(
    api: &Api,
    mut response: Response,
    out: Out,
) -> anyhow::Result<Option<u8>> {
    let mut last = None;
    let mut printable = PrintableStream::default();
    let mut progress = Progress::beside_output();
    progress.expect_bytes(response.content_length());
    while let Some(piece) = response.chunk().await.map_err(|error| api.cut(error))? {
        last = piece.last().copied().or(last);
        progress.read(&piece);
        let shown = match out.meets_terminal() {
            true => printable.with(&piece).into_bytes(),
            false => piece.into(),
        };
        if deliver(&shown).is_err() {
            break;
        }
    }
    Ok(last)
}

fn fields(given: &[String]) -> anyhow::Result<Value> {
    let mut object = Map::new();
    for field in given {
        let Some((name, text)) = field.split_once('=') else {
            return Err(Failure::usage("a field is written NAME=VALUE").into());
        };
        let value = match text.strip_prefix('@') {
            Some(file) => {
                let bytes = read(Path::new(file))?;
                let text = String::from_utf8(bytes)
                    .ok()
                    .context("the file is not UTF-8")?;
                Value::String(text.trim_end_matches(['\n', '\r']).to_owned())
            }
            None => {
                if SECRET_FIELDS.contains(&name) {
                    let message = format!(
                        "{name} is a secret, and arguments are seen by everybody on the machine"
                    );
                    let hint = format!("write {name}=@FILE or {name}=@-");
                    return Err(Failure::usage(message).hint(hint).into());
                }
                plain(text)
            }
        };
        object.insert(name.to_owned(), value);
    }
    Ok(Value::Object(object))
}

fn plain(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        _ => text
            .parse::<i64>()
            .map_or_else(|_| Value::from(text), Value::from),
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        stdin()
            .read_to_end(&mut bytes)
            .context("cannot read standard input")?;
    } else {
        bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_values_where_they_look_like_one_and_never_secrets() {
        let given = ["a=1", "b=true", "c=null", "d=x=y", "e=1.50"].map(str::to_owned);
        let object = fields(&given).expect("fields");
        assert_eq!(
            object,
            json!({"a": 1, "b": true, "c": null, "d": "x=y", "e": "1.50"})
        );
        let error = fields(&["key=sk-1234".to_owned()]).expect_err("a secret");
        assert!(!error.to_string().contains("sk-1234"), "{error}");
        assert!(fields(&["nothing".to_owned()]).is_err());
    }
}
