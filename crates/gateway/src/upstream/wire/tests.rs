use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Uri, header};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::connection::MAX_HEADERS;
use super::super::pool::Pools;
use super::super::pool::tests::home_of;
use super::super::{AuthPlace, Departure, Outbound, Outgoing};
use super::*;
use crate::connect::tests::tls;
use domain::{ProviderKeyId, Secret};
use tower_service::Service;

#[path = "../../../../../fuzz/rules/provider_answer.rs"]
mod rule;

/// A connection, its other end, and the pools to which it returns.
async fn connected() -> (Box<Wire>, TcpStream, Arc<Pools>, Uri) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let url: Uri = format!("http://{address}/").parse().expect("a URL");
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    let pools = Arc::new(Pools::new(8));
    let home = Home::new(&pools, key(), &url);
    let io = Io::Http(TokioIo::new(near.expect("a connection")));
    let (far, _) = far.expect("a client");
    (Box::new(Wire::new(io, home)), far, pools, url)
}

fn key() -> crate::health::KeyVersion {
    (ProviderKeyId::from_bytes([1; 16]), 1)
}

const URL: &str = "http://provider.example:80/v1/chat?a=b";

fn outgoing(url: &Uri, body: Outbound) -> Outgoing<'_> {
    Outgoing {
        pool: key(),
        method: Method::POST,
        url,
        headers: HeaderMap::new(),
        body,
        media_type: None,
        hops: 0,
        deadline: tokio::time::Instant::now(),
        departure: Departure::default(),
    }
}

/// It as it is sent, with this key.
fn unsent(outgoing: Outgoing<'_>, key: &str) -> Option<Box<Unsent>> {
    let auth = AuthPlace {
        header: header::AUTHORIZATION,
        scheme: Some("Bearer".to_owned()),
    };
    assert!(Unsent::suits(&outgoing));
    Unsent::of(outgoing, &auth, &Secret::new(key.as_bytes().to_vec()))
}

fn request(body: Outbound) -> Box<Unsent> {
    let url = Uri::from_static(URL);
    unsent(outgoing(&url, body), "secret").expect("a request")
}

/// A request as it is read at the other end.
async fn written(outgoing: Outgoing<'_>) -> String {
    let (mut near, mut far) = tokio::io::duplex(1024);
    let mut unsent = unsent(outgoing, "secret").expect("a request");
    poll_fn(|cx| unsent.poll_send(&mut near, cx))
        .await
        .expect("sent");
    drop(near);
    let mut text = String::new();
    far.read_to_string(&mut text).await.expect("text");
    text
}

/// What is read of an answer; `None`: it is broken. And whether the connection waits for the next request then.
async fn answered(text: &str) -> (Option<(u16, String)>, bool) {
    let (wire, mut far, pools, url) = connected().await;
    let answering = async {
        let mut some = [0; 1000];
        let _ = far.read(&mut some).await.expect("a request");
        for piece in text.as_bytes().chunks(7) {
            // It may be closed already.
            let _ = far.write_all(piece).await;
            tokio::task::yield_now().await;
        }
        if !text.contains("chunked\r\n") && !text.contains("-length: 2") {
            let _ = far.shutdown().await;
        }
    };
    let asking = async {
        let response = wire.ask(request(Outbound::whole("hi".into())));
        let response = tokio::time::timeout(Duration::from_secs(5), response);
        let response = response.await.expect("in time").ok()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect();
        let body = tokio::time::timeout(Duration::from_secs(5), body);
        let body = body.await.expect("in time").ok()?.to_bytes();
        Some((status, String::from_utf8(body.to_vec()).expect("text")))
    };
    let (answer, ()) = tokio::join!(asking, answering);
    // Until what came behind the answer is seen.
    tokio::time::sleep(Duration::from_millis(20)).await;
    (answer, pools.take_wire(key(), &url).is_some())
}

#[tokio::test]
async fn the_end_of_an_answer_is_where_hyper_sees_it() {
    let whole = |status, body: &str| Some((status, body.to_owned()));
    for (text, answer, waits) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            whole(200, "hi"),
            true,
        ),
        (
            "HTTP/1.1 200\ncontent-length: 2\n\nhi",
            whole(200, "hi"),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: x, Close\r\n\r\nhi",
            whole(200, "hi"),
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            whole(200, "hi"),
            false,
        ),
        // What comes behind it is nobody's.
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 200 OK",
            whole(200, "hi"),
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            whole(200, "hi"),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nconTent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            whole(200, "hi"),
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            whole(200, "hi"),
            true,
        ),
        ("HTTP/1.1 200 OK\r\n\r\nhi", whole(200, "hi"), false),
        (
            "HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\n",
            whole(204, ""),
            true,
        ),
        (
            "HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 103 Hi\r\na: b\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            whole(200, "hi"),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi",
            None,
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi",
            None,
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nhi",
            None,
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            None,
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\nx\r\n",
            None,
            false,
        ),
        ("HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n", None, false),
        ("HTTP/1.1 200 OK\r\na", None, false),
        ("SSH-2.0\r\n\r\n", None, false),
        ("", None, false),
    ] {
        assert_eq!(answered(text).await, (answer, waits), "{text:?}");
    }
    let many: String = (0..=MAX_HEADERS)
        .map(|at| format!("a{at}: b\r\n"))
        .collect();
    let long = format!("a: {}\r\n", "b".repeat(MAX_HEAD_BYTES));
    for lines in [many, long] {
        let text = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        assert_eq!(answered(&text).await, (None, false));
    }
}

#[tokio::test]
async fn an_answer_comes_behind_few_others() {
    let interim = "HTTP/1.1 100 Go\r\n\r\n";
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
    let text = interim.repeat(MAX_INTERIM) + answer;
    assert_eq!(answered(&text).await, (Some((200, "hi".to_owned())), true));
    let text = interim.repeat(MAX_INTERIM + 1) + answer;
    assert_eq!(answered(&text).await, (None, false));
}

#[tokio::test]
async fn what_comes_before_a_bad_chunk_is_given() {
    let (wire, mut far, pools, url) = connected().await;
    let answering = async {
        let mut some = [0; 1000];
        let _ = far.read(&mut some).await.expect("a request");
        let text = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\nx";
        far.write_all(text.as_bytes()).await.expect("written");
    };
    let (response, ()) = tokio::join!(wire.ask(request(Outbound::whole("hi".into()))), answering);
    let mut body = response.unwrap_or_else(|_| panic!("no answer")).into_body();
    let first = body.frame().await.expect("a piece").expect("whole");
    assert_eq!(first.into_data().expect("data"), "hi!");
    // Although the provider keeps the connection open, and says nothing more.
    let second = tokio::time::timeout(Duration::from_secs(5), body.frame()).await;
    assert!(second.expect("in time").is_some_and(|it| it.is_err()));
    drop(body);
    assert!(pools.take_wire(key(), &url).is_none(), "it is closed");
    drop(far);
}

#[tokio::test]
async fn a_stray_byte_is_not_forgotten() {
    let (mut wire, mut far, _pools, _) = connected().await;
    assert!(wire.is_free());
    far.write_all(b"x").await.expect("written");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!wire.is_free());
    assert!(!wire.is_free(), "it was read, and nobody asked for it");
}

#[tokio::test]
async fn a_request_that_may_have_left_through_tls_is_not_sent_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (go, is_gone) = std::sync::mpsc::channel::<()>();
    let serving = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a client");
        let config = Arc::new(tls::config(tls::GOOD, tls::BOTH));
        let mut connection = rustls::ServerConnection::new(config).expect("a server");
        while !connection.wants_write() {
            connection.read_tls(&mut socket).expect("a hello");
            connection.process_new_packets().expect("a hello");
        }
        while connection.wants_write() {
            connection.write_tls(&mut socket).expect("sent");
        }
        is_gone.recv().expect("a client");
        // With bytes that it has not read it is reset, not closed.
        drop(socket);
    });
    let url: Uri = format!("https://provider.example:{port}/")
        .parse()
        .expect("a URL");
    let io = tls::trusting(tls::AUTHORITY).call(url.clone()).await;
    let wire = Box::new(Wire::new(io.expect("a connection"), home_of(&url)));
    go.send(()).expect("a server");
    serving.join().expect("no panic");
    let outgoing = outgoing(&url, Outbound::whole("hi".into()));
    let departure = outgoing.departure.clone();
    let outcome = wire
        .ask(unsent(outgoing, "secret").expect("a request"))
        .await;
    assert!(matches!(outcome, Err(None)), "it would be sent again");
    assert!(departure.has_left());
}

#[tokio::test]
async fn a_request_is_written_whole_and_its_head_is_wiped() {
    let (wire, mut far, pools, url) = connected().await;
    let long = Bytes::from(vec![b'x'; 4 << 20]);
    let body = Outbound::pieces(vec![Bytes::from_static(b"a"), long.clone()]);
    let head = format!(
        "POST /v1/chat?a=b HTTP/1.1\r\nhost: provider.example\r\naccept-encoding: identity\r\nuser-agent: {}\r\n\
         content-length: 4194305\r\nauthorization: Bearer secret\r\n\r\na",
        crate::headers::user_agent(0).to_str().expect("text")
    );
    let reading = async {
        let mut read = Vec::new();
        while read.len() < head.len() + long.len() {
            far.read_buf(&mut read).await.expect("readable");
        }
        far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .await
            .expect("written");
        read
    };
    let (response, read) = tokio::join!(wire.ask(request(body)), reading);
    assert!(response.is_ok_and(|response| response.status() == 200));
    assert!(read.starts_with(head.as_bytes()));
    assert_eq!(read.len(), head.len() + long.len());
    let mut wire = pools.take_wire(key(), &url).expect("it waits");
    assert!(wire.unsent.is_none(), "the head is kept");

    drop(far);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!wire.is_free(), "the provider has closed it");
}

#[tokio::test]
async fn a_request_says_how_long_its_body_is_where_one_is_expected() {
    let url = Uri::from_static("https://provider.example:8443");
    for (method, body, line) in [
        (Method::POST, "hi", Some("content-length: 2")),
        (Method::POST, "", Some("content-length: 0")),
        (Method::PUT, "", Some("content-length: 0")),
        (Method::PATCH, "", Some("content-length: 0")),
        (Method::GET, "", None),
        (Method::DELETE, "", None),
        (Method::DELETE, "hi", Some("content-length: 2")),
    ] {
        let text = written(Outgoing {
            method: method.clone(),
            ..outgoing(&url, Outbound::whole(body.into()))
        })
        .await;
        let (head, sent) = text.split_once("\r\n\r\n").expect("a head");
        let mut lines = head.lines();
        assert_eq!(lines.next(), Some(&*format!("{method} / HTTP/1.1")));
        assert_eq!(lines.next(), Some("host: provider.example:8443"));
        assert_eq!(lines.find(|it| it.starts_with("content-")), line);
        assert!(!head.contains("transfer-encoding"), "{head}");
        assert_eq!(sent, body);
    }
}

#[tokio::test]
async fn what_is_ours_in_a_request_stands_there_once() {
    let url = Uri::from_static(URL);
    let mut headers = HeaderMap::new();
    for name in [
        "host",
        "content-type",
        "accept-encoding",
        "user-agent",
        "content-length",
        "transfer-encoding",
        "authorization",
        "x-mine",
    ] {
        headers.append(name, HeaderValue::from_static("theirs"));
    }
    let pieces = ["", "h", "", "i", ""].map(|it| Bytes::from_static(it.as_bytes()));
    let text = written(Outgoing {
        headers,
        media_type: Some(HeaderValue::from_static("text/plain")),
        hops: 2,
        ..outgoing(&url, Outbound::pieces(pieces.to_vec()))
    })
    .await;
    let expected = [
        "POST /v1/chat?a=b HTTP/1.1",
        "host: provider.example",
        "x-mine: theirs",
        "content-type: text/plain",
        "accept-encoding: identity",
        &format!(
            "user-agent: keybearer/{} (hop 3)",
            env!("CARGO_PKG_VERSION")
        ),
        "content-length: 2",
        "authorization: Bearer secret",
        "",
        "hi",
    ];
    assert_eq!(text, expected.join("\r\n"));
}

#[test]
fn a_key_that_would_be_another_header_is_not_sent() {
    let url = Uri::from_static(URL);
    for key in ["a\r\nb: c", "a\nb", "a\0", "a\x7f", "a\rb"] {
        let outgoing = outgoing(&url, Outbound::whole(Bytes::new()));
        assert!(unsent(outgoing, key).is_none(), "{key:?}");
    }
    let outgoing = outgoing(&url, Outbound::whole(Bytes::new()));
    assert!(unsent(outgoing, "a\t~ \u{e9}").is_some());
}

#[tokio::test]
async fn an_answer_that_comes_fast_is_read_in_large_pieces() {
    let (wire, mut far, pools, url) = connected().await;
    let long: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
    let answering = async {
        let mut some = [0; 1000];
        let _ = far.read(&mut some).await.expect("a request");
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", long.len());
        far.write_all(head.as_bytes()).await.expect("written");
        far.write_all(&long).await.expect("written");
    };
    let asking = async {
        let response = wire.ask(request(Outbound::whole("hi".into()))).await;
        let response = response.unwrap_or_else(|_| panic!("no answer"));
        let mut body = response.into_body();
        let (mut read, mut most) = (Vec::new(), 0);
        while let Some(frame) = body.frame().await {
            let data = frame.expect("whole").into_data().expect("data");
            most = most.max(data.len());
            read.extend_from_slice(&data);
            // Until more is there.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (read, most)
    };
    let ((read, most), ()) = tokio::join!(asking, answering);
    assert!(read == long, "it is another");
    assert!(most > 2 * READ_BYTES, "{most}");
    assert!(pools.take_wire(key(), &url).is_some(), "it waits");
}

#[tokio::test]
async fn the_rest_of_a_request_goes_out_while_it_is_answered() {
    let (wire, mut far, pools, url) = connected().await;
    let long = Bytes::from(vec![b'x'; 64 << 20]);
    let answering = async {
        far.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n")
            .await
            .expect("written");
        let mut read = 0;
        let mut some = vec![0; 1 << 20];
        while read < 64 << 20 {
            read += far.read(&mut some).await.expect("readable");
        }
        far.write_all(b"0\r\n\r\n").await.expect("written");
    };
    let asking = async {
        let response = wire.ask(request(Outbound::whole(long))).await;
        let response = response.unwrap_or_else(|_| panic!("no answer"));
        response.into_body().collect().await.map(|it| it.to_bytes())
    };
    let both = async { tokio::join!(asking, answering) };
    let (body, ()) = tokio::time::timeout(Duration::from_secs(20), both)
        .await
        .expect("in time");
    assert_eq!(body.expect("whole"), "hi");
    assert!(pools.take_wire(key(), &url).is_none(), "it is closed");
}

#[test]
fn provider_answer_seeds_hold() {
    crate::tests::play::seeds("provider_answer", rule::holds);
}
