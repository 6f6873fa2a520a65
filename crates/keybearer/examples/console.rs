//! An instance for the browser tests: the real binary, with a scripted provider in the place of OpenAI and Anthropic.
//!
//! `console BINARY` (or `console BINARY local`, for an instance of one person) prints one line of JSON when all is up, and then does what it is told by lines of JSON on standard
//! input, each answered by one line. It ends, with all that it started, when its input does.
//!
//! | told | does |
//! |---|---|
//! | `{"key": "sk-...", "status": 401, "body": {...}}` | the provider answers every request that carries this key so |
//! | `{"path": "/v1/...", "status": 200, "body": {...}, "delay_ms": 500}` | the same for every request with this path |
//! | `{"reset": true}` | the provider is as it was at the start |
//! | `{"requests": true}` | answers with the number of requests that the provider got |
//! | `{"console_link": true}` | answers with what `keybearer console --json` prints |
//! | `{"restart": true}` | kills the instance and starts it on the same data |

use std::io::{BufRead, Write};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::app::TestApp;
use testkit::provider::{Script, ScriptedProvider};

#[tokio::main]
async fn main() {
    let binary = std::env::args().nth(1).expect("the path of the binary");
    let provider = ScriptedProvider::start();
    let mut builder = TestApp::builder(binary);
    let local = std::env::args().nth(2).as_deref() == Some("local");
    if local {
        builder = builder.arguments(&["local"]);
    }
    let mut app = builder
        .provider("openai", &provider)
        .provider("anthropic", &provider)
        .env("KEYBEARER_LOG", "warn")
        .start()
        .await;
    let setup_token = match local {
        true => String::new(),
        false => app.setup_token(),
    };
    say(&json!({"url": app.url(), "setup_token": setup_token, "dir": app.dir()}));
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("standard input is text");
        let told: Value = serde_json::from_str(&line).expect("a line is JSON");
        say(&obey(&told, &provider, &mut app).await);
    }
}

async fn obey(told: &Value, provider: &ScriptedProvider, app: &mut TestApp) -> Value {
    if let Some(key) = told["key"].as_str() {
        provider.on_key(key, script(told));
    } else if let Some(path) = told["path"].as_str() {
        provider.on_path(path, script(told));
    } else if told["reset"] == true {
        provider.reset();
    } else if told["requests"] == true {
        return json!({"requests": provider.requests().len()});
    } else if told["console_link"] == true {
        let exit = app.run(&["console", "--json"]).await;
        return serde_json::from_str(&exit.stdout).expect("a link");
    } else if told["restart"] == true {
        app.restart().await;
        return json!({"url": app.url()});
    } else {
        panic!("nobody here knows what {told} means");
    }
    json!({"done": true})
}

fn script(told: &Value) -> Script {
    let status = told["status"]
        .as_u64()
        .and_then(|status| u16::try_from(status).ok());
    let script = Script::json(status.expect("a status"), &told["body"]);
    script.delay(Duration::from_millis(
        told["delay_ms"].as_u64().unwrap_or(0),
    ))
}

fn say(line: &Value) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .expect("somebody listens");
}
