//! Raw requests that two servers in a row could understand differently: alone, and behind nginx.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Fixture;

/// What must come of a request that is sent together with what is hidden behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// One answer of the class 400, and the end of the connection.
    Refused,
    /// So many calls are served, and no more answers come than that.
    Served(usize),
}

use Outcome::{Refused, Served};

/// The parts of which requests are made.
struct Parts {
    host: String,
    key: String,
}

const JSON: &str = r#"{"model":"gpt-4o","messages":[]}"#;

impl Parts {
    /// A call with these lines in its head.
    fn call(&self, lines: &str) -> String {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\n{lines}",
            self.host, self.key
        )
    }

    /// A whole call, which stands where a body or nothing should be.
    fn hidden(&self) -> String {
        let head = format!("Connection: close\r\nContent-Length: {}\r\n", JSON.len());
        format!("{}\r\n{JSON}", self.call(&head))
    }
}

/// A body in one chunk.
fn chunked() -> String {
    format!("{:x}\r\n{JSON}\r\n0\r\n\r\n", JSON.len())
}

fn cases(parts: &Parts) -> Vec<(String, Outcome)> {
    let hidden = parts.hidden();
    let length = JSON.len();
    let mut cases = Vec::new();
    // Two ways to tell the length. The chunks count, and nothing behind them (docs/adversarial-tests.md).
    let (long, coded) = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n");
    for lines in [[long, coded].concat(), [coded, long].concat()] {
        let head = parts.call(&lines);
        cases.push((format!("{head}\r\n0\r\n\r\n{hidden}"), Refused));
        cases.push((format!("{head}\r\n{}{hidden}", chunked()), Served(1)));
    }
    // Codings that only one of two servers takes for chunks.
    for coding in [
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunkedx",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding: chunked\0",
        "Transfer-Encoding: ch\u{f6}nked",
        "Transfer-Encoding:",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "\tTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "X: a\rTransfer-Encoding: chunked",
    ] {
        let head = parts.call(&format!("{coding}\r\n"));
        cases.push((format!("{head}\r\n{}{hidden}", chunked()), Refused));
    }
    for coding in [
        "Transfer-Encoding: Chunked",
        "transfer-encoding:\tchunked \t",
    ] {
        let head = parts.call(&format!("Connection: close\r\n{coding}\r\n"));
        cases.push((format!("{head}\r\n{}{hidden}", chunked()), Served(1)));
    }
    // Lengths that are none, or two.
    for value in [
        format!("{length}\r\nContent-Length: 0"),
        format!("0\r\nContent-Length: {length}"),
        format!("{length}, {length}"),
        format!("{length}, 0"),
        format!("+{length}"),
        format!("-{length}"),
        format!("0x{length:x}"),
        format!("{length}.0"),
        "3e1".to_owned(),
        format!("{length} 0"),
        format!("{length}\t0"),
        format!("{length};a=b"),
        format!("{length}\0"),
        format!("\"{length}\""),
        "\u{663}\u{662}".to_owned(),
        String::new(),
        "18446744073709551616".to_owned(),
        format!("1844674407370955161{length}"),
        format!("\r\n {length}"),
        "chunked".to_owned(),
    ] {
        let head = parts.call(&format!("Content-Length: {value}\r\n"));
        cases.push((format!("{head}\r\n{JSON}{hidden}"), Refused));
    }
    for line in [
        format!("Content-Length : {length}"),
        format!(" Content-Length: {length}"),
        format!("Content-Length\0: {length}"),
    ] {
        let head = parts.call(&format!("{line}\r\n"));
        cases.push((format!("{head}\r\n{JSON}{hidden}"), Refused));
    }
    // Another spelling is another header: there is no body, and what stands in its place is no request.
    let head = parts.call(&format!(
        "Connection: close\r\nContent_Length: {length}\r\n"
    ));
    cases.push((format!("{head}\r\n{JSON}{hidden}"), Refused));
    // Chunks that are none.
    let head = parts.call("Connection: close\r\nTransfer-Encoding: chunked\r\n");
    for size in [
        "g".to_owned(),
        format!("-{length:x}"),
        format!("+{length:x}"),
        format!("0x{length:x}"),
        format!(" {length:x}"),
        format!("{length:x} 0"),
        format!("{length:x}\0"),
        format!("{length:x},0"),
        String::new(),
        "fffffffffffffffff".to_owned(),
        format!("1{length:016x}"),
        format!("{length:x};a\nb"),
    ] {
        let body = format!("{size}\r\n{JSON}\r\n0\r\n\r\n");
        cases.push((format!("{head}\r\n{body}{hidden}"), Refused));
    }
    for body in [
        // Data that are longer, and shorter, than said.
        format!("{:x}\r\n{JSON}XX0\r\n\r\n", length),
        format!("{:x}\r\n{JSON}\r\n0\r\n\r\n", length - 1),
        format!("{:x}\r\n{JSON}0\r\n\r\n", length),
        // Extensions without an end.
        format!("{length:x};{}\r\n{JSON}\r\n0\r\n\r\n", "a".repeat(50_000)),
    ] {
        cases.push((format!("{head}\r\n{body}{hidden}"), Refused));
    }
    for body in [
        format!("{length:x};a=b;c=\"d\"\r\n{JSON}\r\n0\r\n\r\n"),
        format!("0000000{length:x}\r\n{JSON}\r\n0\r\n\r\n"),
        // Fields behind the body change nothing of the head.
        format!("{length:x}\r\n{JSON}\r\n0\r\nContent-Length: 999\r\nHost: b\r\n\r\n"),
    ] {
        cases.push((format!("{head}\r\n{body}{hidden}"), Served(1)));
    }
    // Heads.
    let whole = format!("Content-Length: {length}\r\n");
    for line in [
        "Host: other",
        "X: a\r\n b",
        "X: a\r\n\tb",
        "X: a\0b",
        "X: a\u{1}b",
        "X\0: a",
        "X : a",
        ": a",
        "no colon",
        "X\u{e9}: a",
        "X(: a",
        "X: a\rb",
        "\u{7f}: a",
    ] {
        let head = parts.call(&format!("{line}\r\n{whole}"));
        cases.push((format!("{head}\r\n{JSON}{hidden}"), Refused));
    }
    let call = parts.call(&whole);
    let call = format!("{call}\r\n{JSON}");
    let target = "POST /v1/chat/completions HTTP/1.1";
    for line in [
        format!("POST http://{}/v1/chat/completions HTTP/1.1", parts.host),
        "POST http://other/v1/chat/completions HTTP/1.1".to_owned(),
        "CONNECT other:443 HTTP/1.1".to_owned(),
        "OPTIONS * HTTP/1.1".to_owned(),
        "POST  HTTP/1.1".to_owned(),
        "POST /v1/chat/completions a HTTP/1.1".to_owned(),
        "POST /v1/chat/completions\tHTTP/1.1".to_owned(),
        "POST /v1/chat/completions\0 HTTP/1.1".to_owned(),
        "POST /v1/chat/completions".to_owned(),
        "POST /v1/chat/completions HTTP/1.2".to_owned(),
        "POST /v1/chat/completions HTTP/2.0".to_owned(),
        "POST /v1/chat/completions http/1.1".to_owned(),
        "POST /v1/chat/completions HTTP/1.1 HTTP/1.1".to_owned(),
        "PO\0ST /v1/chat/completions HTTP/1.1".to_owned(),
        "P(ST /v1/chat/completions HTTP/1.1".to_owned(),
        " POST /v1/chat/completions HTTP/1.1".to_owned(),
        "PRI * HTTP/2.0".to_owned(),
    ] {
        let text = call.replacen(target, &line, 1);
        assert_ne!(text, call);
        cases.push((format!("{text}{hidden}"), Refused));
    }
    let nameless = call.replacen(&format!("Host: {}\r\n", parts.host), "", 1);
    cases.push((format!("{nameless}{hidden}"), Refused));
    let older = call.replacen(target, "POST /v1/chat/completions HTTP/1.0", 1);
    let older = older.replacen(&whole, "Transfer-Encoding: chunked\r\n", 1);
    cases.push((format!("{older}{hidden}"), Refused));
    // What is in order stays so: one request behind another, and a body that looks like one.
    cases.push((format!("{call}{hidden}"), Served(2)));
    let inside = parts.call(&format!(
        "Connection: close\r\nContent-Length: {}\r\n",
        hidden.len()
    ));
    cases.push((format!("{inside}\r\n{hidden}"), Refused));
    cases
}

/// Sends bytes and returns all that comes back until the connection ends; `None`: it does not end.
async fn exchange(address: &str, bytes: &[u8]) -> Option<String> {
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    let mut reply = Vec::new();
    let talk = async {
        // Who refuses may do so before it has read everything.
        let _ = socket.write_all(bytes).await;
        let _ = socket.read_to_end(&mut reply).await;
    };
    let ended = tokio::time::timeout(Duration::from_secs(8), talk).await;
    ended.ok()?;
    Some(String::from_utf8_lossy(&reply).into_owned())
}

/// How many answers stand there.
fn answers(reply: &str) -> usize {
    reply.matches("HTTP/1.1 ").count() + reply.matches("HTTP/1.0 ").count()
}

#[tokio::test]
async fn ambiguous_requests_get_one_refusal_and_hide_none() {
    // T123
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    let host = fixture.app.url().replace("http://", "");
    let parts = Parts {
        host: host.clone(),
        key: fixture.owner.api_key.clone(),
    };
    let cases = cases(&parts);
    assert!(cases.len() > 100, "{}", cases.len());
    let mut wrong = Vec::new();
    for (request, outcome) in cases {
        let before = fixture.provider.requests().len();
        let reply = exchange(&host, request.as_bytes()).await;
        let served = fixture.provider.requests().len() - before;
        let closed = reply.is_some();
        let reply = reply.unwrap_or_default();
        let is_right = match outcome {
            Refused => {
                let refused = ["HTTP/1.1 4", "HTTP/1.0 4"].map(|it| reply.starts_with(it));
                served == 0 && answers(&reply) == 1 && refused.contains(&true)
            }
            Served(calls) => served == calls && answers(&reply) >= calls && answers(&reply) <= 2,
        };
        if !(is_right && closed) {
            wrong.push(format!(
                "{outcome:?}, {served} served, closed: {closed}\n{request:.400?}\n{reply:.300}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    fixture.finish().await;
}

/// A running nginx, which ends with its value.
struct Nginx {
    child: Child,
    address: SocketAddr,
    log: std::path::PathBuf,
}

impl Nginx {
    /// In front of `upstream`, by one connection that it uses again and again.
    async fn start(folder: &Path, upstream: &str) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let log = folder.join("access.log");
        let here = folder.display();
        let config = format!(
            "daemon off;\nmaster_process off;\npid {here}/pid;\nerror_log {here}/error.log;\n\
             events {{ worker_connections 256; }}\nhttp {{\n\
             log_format seen '$status $upstream_status';\naccess_log {log} seen;\n\
             keepalive_timeout 200ms;client_header_timeout 300ms;\nclient_body_timeout 300ms;\nlingering_close off;\n\
             client_body_temp_path {here}/body;\nproxy_temp_path {here}/proxy;\nfastcgi_temp_path {here}/fastcgi;\n\
             uwsgi_temp_path {here}/uwsgi;\nscgi_temp_path {here}/scgi;\n\
             upstream one {{ server {upstream}; keepalive 1; }}\n\
             server {{ listen {address}; ignore_invalid_headers off; location / {{ proxy_pass http://one; proxy_http_version 1.1;\n\
             proxy_request_buffering off; proxy_set_header Connection \"\"; proxy_set_header Host {upstream}; }} }}\n}}\n",
            log = log.display(),
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, config).expect("written");
        let child = Command::new("nginx")
            .env(
                "PATH",
                "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin",
            )
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is installed: scripts/install_test_requisites.sh");
        let nginx = Self {
            child,
            address,
            log,
        };
        let begun = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            let errors = std::fs::read_to_string(folder.join("error.log"));
            assert!(begun.elapsed() < Duration::from_secs(10), "{errors:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        nginx
    }

    /// How many requests it took, and how many of them the server behind it answered.
    fn seen(&self) -> (usize, usize) {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let passed = log.lines().filter(|line| !line.ends_with(" -"));
        (log.lines().count(), passed.count())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn behind_nginx_no_request_is_answered_that_nginx_did_not_see() {
    // T123
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    let upstream = fixture.app.url().replace("http://", "");
    let folder = tempfile::tempdir().expect("a folder");
    let nginx = Nginx::start(folder.path(), &upstream).await;
    let address = nginx.address.to_string();
    let parts = Parts {
        host: address.clone(),
        key: fixture.owner.api_key.clone(),
    };
    let victim = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let (mut passed_on, mut wrong) = (0, Vec::new());
    for (request, _) in cases(&parts) {
        let (seen, passed) = nginx.seen();
        let before = fixture.provider.requests().len();
        let reply = exchange(&address, request.as_bytes()).await;
        let served = fixture.provider.requests().len() - before;
        let (now_seen, now_passed) = nginx.seen();
        let (seen, passed) = (now_seen - seen, now_passed - passed);
        passed_on += passed;
        // Whoever comes next on nginx's connection gets their own answer.
        let healths: Vec<_> = [
            exchange(&address, victim.as_bytes()).await,
            exchange(&address, victim.as_bytes()).await,
        ]
        .into_iter()
        .map(Option::unwrap_or_default)
        .collect();
        let harmed = healths
            .iter()
            .any(|it| !it.starts_with("HTTP/1.1 200") || answers(it) != 1);
        let count = reply.as_deref().map_or(0, answers);
        if harmed || served > passed || count > seen {
            wrong.push(format!(
                "{served} served and {count} answers, nginx saw {seen} and passed {passed} on\n{request:.400?}\n{}\n{healths:?}",
                reply.unwrap_or_default()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    // Else nothing was tried.
    assert!(passed_on > 10, "nginx passed {passed_on} on");
    fixture.finish().await;
}
