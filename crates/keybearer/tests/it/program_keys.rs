//! Where the keys of a program do not get to: into what it says, and into other places of its requests.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};

use http::Method;
use serde_json::json;
use testkit::app::Auth;

use crate::Fixture;
use crate::runtime::written;
use crate::sandbox::{elsewhere, shown};

/// Says `$OPENAI_API_KEY` in many ways, and notes it in a file that ends with a line break.
const TELL: &str = r#"
    key=$OPENAI_API_KEY; begin=${key%????????????????}; end=${key#"$begin"}
    echo "plain $key."
    printf 'split %s' "$begin"; printf '%s.\n' "$end"
    printf 'base64 %s\n' "$(printf %s "$key" | base64 -w0)"
    printf 'hex %s.\n' "$(printf %s "$key" | od -An -v -tx1 | tr -d ' \n')"
    printf 'coloured %s\033[31m%s\033[m.\n' "$begin" "$end"
    printf 'bytes \200\377\001.\n'
    printf 'twice %s%s.\n' "$key" "$key" >&2
    printf '%s\n' "$key" > key.new; mv key.new key
"#;

/// What is seen of it, in one stream each, if this stands before each line.
fn told(before: &str) -> (Vec<u8>, String) {
    let lines: [&[u8]; 6] = [
        b"plain [redacted].",
        b"split [redacted].",
        b"base64 [redacted]",
        b"hex [redacted].",
        b"coloured [redacted]\x1b[31m\x1b[m.",
        b"bytes \x80\xff\x01.",
    ];
    let lines = lines.map(|line| [before.as_bytes(), line, b"\n"].concat());
    (
        lines.concat(),
        format!("{before}twice [redacted][redacted].\n"),
    )
}

/// The same without what may stay of base64: its last digits may hold bits of what follows, and padding.
fn without_rest(said: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for line in said.split_inclusive(|byte| *byte == b'\n') {
        let at = line.windows(7).position(|it| it == b"base64 ");
        match at.map(|at| at + b"base64 [redacted]".len()) {
            Some(end) if line.len() <= end + 4 => all.extend([&line[..end], b"\n"].concat()),
            _ => all.extend_from_slice(line),
        }
    }
    all
}

impl Fixture {
    /// The key that a program noted here is looked for everywhere from now on.
    async fn look_for_noted_key(&self, here: &Path) {
        let key = written(&here.join("key")).await;
        assert!(key.starts_with("kb_"), "a key of the gateway");
        self.canary.register(key.trim());
    }
}

/// T175
#[tokio::test]
async fn what_a_program_says_has_no_key_where_that_is_asked_for() {
    let fixture = Fixture::start().await;
    let here = elsewhere();
    let script = format!("[ -t 1 ] || echo piped; {TELL} exit 7");
    let arguments = ["run", "--mask-output", "--", "sh", "-c", &script];
    let run = fixture.keybearer_in(here.path(), &arguments).output();
    let run = run.expect("the binary runs");
    assert_eq!(run.status.code(), Some(7), "{}", shown(&run));
    let (stdout, stderr) = told("");
    let stdout = [b"piped\n", stdout.as_slice()].concat();
    assert_eq!(without_rest(&run.stdout), stdout, "{}", shown(&run));
    assert_eq!(String::from_utf8_lossy(&run.stderr), stderr);
    fixture.look_for_noted_key(here.path()).await;
    let mut sweep = fixture.canary.sweep();
    sweep
        .bytes("stdout", &run.stdout)
        .bytes("stderr", &run.stderr);
    sweep.assert_clean();
    fixture.finish().await;
}

/// T175: what waits for an answer is seen at once, and a reader that has seen enough ends the program.
#[tokio::test]
async fn a_program_whose_output_is_masked_can_ask_and_stop() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    let here = elsewhere();
    let script = "printf 'Continue? k'; read -r answer; printf '\\ngot %s\\n' \"$answer\"; \
                  while echo again; do sleep 0.01; done";
    let arguments = ["run", "--mask-output", "--", "sh", "-c", script];
    let mut command = fixture.keybearer_in(here.path(), &arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut run: Child = command.stderr(Stdio::piped()).spawn().expect("starts");
    let mut stdout = run.stdout.take().expect("a pipe");
    let mut see = |expected: &str| {
        let mut seen = vec![0; expected.len()];
        stdout.read_exact(&mut seen).expect("it says something");
        assert_eq!(String::from_utf8_lossy(&seen), expected);
    };
    see("Continue? k");
    let mut stdin = run.stdin.take().expect("a pipe");
    stdin.write_all(b"yes\n").expect("it reads");
    see("\ngot yes\nagain\n");
    drop(stdout);
    let ended = run.wait_with_output().expect("ends");
    // As in any pipeline: SIGPIPE, or a shell that says so.
    assert!(
        !ended.status.success() && !shown(&ended).contains("panicked"),
        "{}",
        shown(&ended)
    );
    fixture.finish().await;
}

/// T175
#[tokio::test]
async fn logs_of_scripts_and_services_have_no_key() {
    let fixture = Fixture::start().await;
    let here = elsewhere();
    let session = &fixture.owner.person.session;
    let script = json!({"name": "tools", "run_on": "every_start", "order": 1, "content": TELL});
    let made = session.post(&fixture.path("/scripts"), &script).await;
    made.expect(201);
    // A line that is cut in the key's middle. A command has one line.
    let file = here.path().join("tell");
    let long = format!("printf '%08185d%s\\n' 0 \"$OPENAI_API_KEY\"; {TELL}");
    std::fs::write(&file, long).expect("can be written");
    let service = json!({"name": "web", "command": ["sh", file], "env": {}, "restart": "no", "auto_enable": true});
    let made = session.post(&fixture.path("/services"), &service).await;
    made.expect(201);
    let mut up = fixture.keybearer_in(here.path(), &["workspace", "up", "--yes"]);
    let up = up.env("XDG_STATE_HOME", here.path().join("state")).output();
    let up = up.expect("the binary runs");
    assert!(up.status.success(), "{}", shown(&up));
    fixture.look_for_noted_key(here.path()).await;
    let mut sweep = fixture.canary.sweep();
    sweep
        .bytes("stdout", &up.stdout)
        .bytes("stderr", &up.stderr);
    sweep.assert_clean();
    let said = without_rest(&up.stdout);
    let all = String::from_utf8_lossy(&said);
    for name in ["tools | ", "web | "] {
        let (stdout, stderr) = told(name);
        let lines = |bytes: &[u8]| -> Vec<String> {
            let text = String::from_utf8_lossy(bytes);
            text.lines().map(str::to_owned).collect()
        };
        // Both streams of a program go to one place, in no order.
        for line in lines(&[stdout.as_slice(), stderr.as_bytes()].concat()) {
            assert!(lines(&said).contains(&line), "{line} in {all}");
        }
    }
    assert!(all.contains("0[redact\nweb | ed]\n"), "{all}");
    fixture.finish().await;
}

/// T175: the provider's key, and the gateway's beside it.
#[tokio::test]
async fn a_program_that_holds_a_provider_key_does_not_say_it() {
    let fixture = Fixture::start().await;
    let (_, api_key) = fixture.with_release().await;
    if !fixture.kernel_holds_it() {
        return fixture.finish().await;
    }
    let here = elsewhere();
    let options = ["--sandbox", "--inject", "raw", "--mask-output"];
    let script =
        "echo \"$OPENAI_API_KEY $ANTHROPIC_API_KEY\"; printf %s \"$OPENAI_API_KEY\" | base64 >&2";
    let run = fixture
        .raw(here.path(), &api_key, &options, script)
        .output();
    let run = run.expect("the binary runs");
    assert!(run.status.success(), "{}", shown(&run));
    assert_eq!(
        String::from_utf8_lossy(&run.stdout),
        "[redacted] [redacted]\n"
    );
    let mut sweep = fixture.canary.sweep();
    sweep.bytes("stderr", &run.stderr).assert_clean();
    fixture.finish().await;
}

/// T180: what a program holds stands for a provider key in one place, and nowhere else.
#[tokio::test]
async fn a_programs_key_becomes_the_providers_in_one_header_only() {
    let fixture = Fixture::start().await;
    let provider_key = fixture.with_openai_key().await;
    let here = elsewhere();
    let script = "printf '%s\\n' \"$OPENAI_API_KEY\" > key.new; mv key.new key; while [ ! -e go ]; do sleep 0.05; done";
    let mut run = fixture.keybearer_in(here.path(), &["run", "--", "sh", "-c", script]);
    let mut run = run.spawn().expect("starts");
    let key = written(&here.path().join("key")).await;
    let key = key.trim();
    let bearer = fixture
        .app
        .caller("the program", Auth::Bearer(key.to_owned()));
    let body = json!({
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": format!("my key is {key}")}],
        "user": key,
        "metadata": {"authorization": format!("Bearer {key}")},
    });
    let bytes = serde_json::to_vec(&body).expect("JSON");
    let send = async |caller: &testkit::app::Caller, path: &str, headers: &[(&str, &str)]| {
        let json = [("content-type", "application/json")];
        let headers = [&json, headers].concat();
        caller
            .send(Method::POST, path, &headers, Some(bytes.clone()))
            .await
    };
    let path = "/v1/chat/completions";
    let odd = [
        ("openai-organization", key),
        ("user-agent", key),
        ("x-forwarded-authorization", key),
    ];
    send(&bearer, path, &odd).await.expect(200);
    let sent = fixture.provider.last();
    assert_eq!(sent.key(), Some(provider_key.as_str()));
    assert_eq!(sent.json(), body);
    for (name, value) in &sent.headers {
        assert!(!value.contains(key), "{name}");
        assert_eq!(
            value.contains(&provider_key),
            name.eq_ignore_ascii_case("authorization"),
            "{name}"
        );
    }
    assert!(!sent.target.contains(key) && !sent.target.contains(&provider_key));

    // In a query it is nothing.
    let requests = fixture.provider.requests().len();
    let query = format!("{path}?key={key}&api_key={key}");
    let anonymous = fixture.app.anonymous();
    send(&anonymous, &query, &[]).await.expect(401);
    send(&anonymous, path, &[("cookie", &format!("key={key}"))])
        .await
        .expect(401);
    send(
        &anonymous,
        path,
        &[("proxy-authorization", &format!("Bearer {key}"))],
    )
    .await
    .expect(401);
    assert_eq!(fixture.provider.requests().len(), requests);
    std::fs::write(here.path().join("go"), "").expect("can be written");
    assert!(run.wait().expect("ends").success());
    fixture.finish().await;
}
