//! Whose certificates are taken for a provider's. Those here are made by an authority of the tests; they are good from 2020 to
//! 2120, for `provider.example`, unless their name says otherwise.

use std::io::{Read, Write};
use std::net::TcpListener;

use bytes::Bytes;
use http_body_util::BodyExt;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::*;
use crate::upstream::{Answering, AuthPlace, Departure, Outbound, Outgoing, SendError, Upstream};

pub(crate) const AUTHORITY: &[u8] = include_bytes!("../certificates/authority.der");
const KEY: &[u8] = include_bytes!("../certificates/key.der");
pub(crate) const GOOD: &[u8] = include_bytes!("../certificates/good.der");

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// What a server needs to present a certificate.
pub(crate) fn config(
    certificate: &'static [u8],
    versions: &'static [&'static rustls::SupportedProtocolVersion],
) -> rustls::ServerConfig {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(KEY));
    rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(certificate)], key)
        .expect("a certificate and its key")
}

/// A server that presents a certificate to one client. Returns the bytes that it was sent once the connection is
/// protected.
pub(crate) fn server(
    certificate: &'static [u8],
    versions: &'static [&'static rustls::SupportedProtocolVersion],
) -> (u16, std::thread::JoinHandle<usize>) {
    let config = config(certificate, versions);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let serving = std::thread::spawn(move || {
        let (socket, _) = listener.accept().expect("a client");
        let connection = rustls::ServerConnection::new(Arc::new(config)).expect("a server");
        let mut stream = rustls::StreamOwned::new(connection, socket);
        let mut got = [0; 64];
        let length = stream.read(&mut got).unwrap_or(0);
        if length > 0 {
            stream.write_all(b"there").expect("sent");
        }
        length
    });
    (port, serving)
}

/// A connector to this machine, whatever the name.
pub(crate) fn trusting(trusted: &'static [u8]) -> Connector {
    let (resolver, _) = scripted(&["127.0.0.1"]);
    let tcp = VettedConnector::with_resolver(policy(&["127.0.0.0/8"]), resolver);
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates([CertificateDer::from(trusted)]);
    let limit = Duration::from_secs(5);
    Connector::trusting(tcp, limit, roots).expect("a connector")
}

async fn connect(port: u16, trusted: &'static [u8]) -> Result<(), BoxError> {
    let mut connector = trusting(trusted);
    let uri: Uri = format!("https://provider.example:{port}/v1?secret=x")
        .parse()
        .expect("a URI");
    let stream = connector.call(uri).await?;
    let mut stream = TokioIo::new(stream);
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    stream.write_all(b"hello").await?;
    let mut got = [0; 5];
    stream.read_exact(&mut got).await?;
    Ok(())
}

const OLDER: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
pub(crate) const BOTH: &[&rustls::SupportedProtocolVersion] =
    &[&rustls::version::TLS12, &rustls::version::TLS13];

#[tokio::test]
async fn only_a_certificate_for_the_name_by_a_trusted_authority_is_taken() {
    // T49
    for versions in [BOTH, OLDER] {
        let (port, serving) = server(GOOD, versions);
        connect(port, AUTHORITY).await.expect("it is trusted");
        assert_eq!(serving.join().expect("no panic"), 5);
    }
    let others: [(&str, &[u8]); 7] = [
        ("expired", include_bytes!("../certificates/expired.der")),
        ("early", include_bytes!("../certificates/early.der")),
        (
            "other_name",
            include_bytes!("../certificates/other_name.der"),
        ),
        (
            "client_only",
            include_bytes!("../certificates/client_only.der"),
        ),
        (
            "common_name",
            include_bytes!("../certificates/common_name.der"),
        ),
        (
            "other_authority",
            include_bytes!("../certificates/other_authority.der"),
        ),
        (
            "self_signed",
            include_bytes!("../certificates/self_signed.der"),
        ),
    ];
    for (name, certificate) in others {
        let (port, serving) = server(certificate, BOTH);
        let refused = connect(port, AUTHORITY).await.expect_err(name);
        let mut said = refused.to_string();
        let mut cause = refused.source();
        while let Some(error) = cause {
            said.push_str(&error.to_string());
            cause = error.source();
        }
        assert!(said.contains("certificate"), "{name}: {said}");
        assert!(!said.contains("secret"), "{name}: {said}");
        // Not a byte of a request is sent.
        assert_eq!(serving.join().expect("no panic"), 0, "{name}");
    }
    // Whoever made it, it is not the system's business.
    let (port, serving) = server(GOOD, BOTH);
    let refused = connect(port, include_bytes!("../certificates/self_signed.der")).await;
    assert!(refused.is_err());
    assert_eq!(serving.join().expect("no panic"), 0);
}

#[tokio::test]
async fn old_versions_of_the_protocol_are_refused() {
    // T49: what a server sends that knows nothing newer, 1.0 and 1.1.
    for minor in [1, 2] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let serving = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("a client");
            let mut hello = [0; 2048];
            let _ = socket.read(&mut hello).expect("a hello");
            // ServerHello: version, random, no session, a suite of that time, no compression.
            let mut body = vec![3, minor];
            body.extend([7; 32]);
            body.extend([0, 0xc0, 0x13, 0]);
            let length = u8::try_from(body.len()).expect("short");
            let record = [&[22, 3, minor, 0, length + 4, 2, 0, 0, length][..], &body].concat();
            socket.write_all(&record).expect("sent");
            let mut answer = [0; 64];
            // An alert, and nothing else.
            let length = socket.read(&mut answer).unwrap_or(0);
            answer[..length].first().copied()
        });
        assert!(connect(port, AUTHORITY).await.is_err());
        let first = serving.join().expect("no panic");
        assert!(matches!(first, None | Some(21)), "{first:?}");
    }
}

/// Reads a request to its end. Returns it without its head.
fn read_request(stream: &mut impl Read) -> Vec<u8> {
    let mut read = Vec::new();
    loop {
        let mut some = [0; 1000];
        let count = stream.read(&mut some).expect("a request");
        assert!(count > 0, "it ends early");
        read.extend_from_slice(&some[..count]);
        let Some(end) = memchr::memmem::find(&read, b"\r\n\r\n") else {
            continue;
        };
        let head = str::from_utf8(&read[..end]).expect("text");
        assert!(head.contains("\r\nauthorization: Bearer secret"), "{head}");
        let length = head.split_once("content-length: ").expect("a length").1;
        let length: usize = length
            .lines()
            .next()
            .map_or(0, |it| it.parse().expect("a number"));
        if read.len() >= end + 4 + length {
            return read.split_off(end + 4);
        }
    }
}

/// Sends a request with a key.
async fn ask(
    upstream: &Upstream,
    url: &Uri,
    body: Bytes,
) -> Result<http::Response<Answering>, SendError> {
    let auth = AuthPlace {
        header: http::header::AUTHORIZATION,
        scheme: Some("Bearer".to_owned()),
    };
    let outgoing = Outgoing {
        pool: (domain::ProviderKeyId::from_bytes([1; 16]), 1),
        method: http::Method::POST,
        url,
        headers: http::HeaderMap::new(),
        body: Outbound::pieces(vec![body.slice(..1), body.slice(1..)]),
        media_type: None,
        hops: 0,
        deadline: tokio::time::Instant::now() + Duration::from_secs(2),
        departure: Departure::default(),
    };
    let key = domain::Secret::from_text("secret".to_owned());
    upstream.send(outgoing, &auth, key).await
}

#[tokio::test]
async fn a_protected_connection_serves_requests_until_the_provider_closes_it() {
    for versions in [BOTH, OLDER] {
        let config = Arc::new(config(GOOD, versions));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let serving = std::thread::spawn(move || {
            let mut bodies = Vec::new();
            for requests in [2, 1] {
                let (socket, _) = listener.accept().expect("a client");
                let connection = rustls::ServerConnection::new(Arc::clone(&config));
                let mut stream = rustls::StreamOwned::new(connection.expect("a server"), socket);
                for _ in 0..requests {
                    bodies.push(read_request(&mut stream));
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{}",
                        "a".repeat(100_000)
                    );
                    stream.write_all(answer.as_bytes()).expect("sent");
                }
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
            bodies
        });
        let upstream = Upstream::new(trusting(AUTHORITY), 8);
        let url: Uri = format!("https://provider.example:{port}/v1")
            .parse()
            .expect("a URL");
        let long = Bytes::from(vec![b'x'; 100_000]);
        let mut sent = Vec::new();
        for body in [Bytes::from_static(b"hi"), long.clone(), long] {
            sent.push(body.to_vec());
            let answer = ask(&upstream, &url, body).await.expect("an answer");
            assert_eq!(answer.status(), 200);
            let read = answer.into_body().collect().await.expect("whole");
            assert_eq!(read.to_bytes().len(), 100_000);
            // The end of the connection comes behind the answer.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(serving.join().expect("no panic"), sent);
    }
}

#[tokio::test]
async fn a_flood_of_tickets_behind_an_answer_is_not_read() {
    for (tickets, swept, stays) in [
        (2, false, true),
        (2, true, true),
        (400, false, false),
        (400, true, false),
    ] {
        let mut config = config(GOOD, BOTH);
        // It answers before it has read anything of the client's but a hello, and sends the tickets when it reads the rest.
        config.send_half_rtt_data = true;
        config.send_tls13_tickets = tickets;
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (go, is_gone) = std::sync::mpsc::channel::<()>();
        let (has_sent, is_sent) = tokio::sync::oneshot::channel::<()>();
        let serving = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("a client");
            let mut connection = rustls::ServerConnection::new(Arc::new(config)).expect("a server");
            while !connection.wants_write() {
                connection.read_tls(&mut socket).expect("a hello");
                connection.process_new_packets().expect("a hello");
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
            connection.writer().write_all(answer).expect("taken");
            while connection.wants_write() {
                connection.write_tls(&mut socket).expect("sent");
            }
            is_gone.recv().expect("the answer is read");
            let mut stream = rustls::StreamOwned::new(connection, socket);
            assert_eq!(read_request(&mut stream), b"hello");
            stream.flush().expect("sent");
            has_sent.send(()).expect("somebody waits");
            let mut some = [0; 1];
            stream.read(&mut some).is_ok_and(|count| count > 0)
        });
        let upstream = Upstream::new(trusting(AUTHORITY), 8);
        let url: Uri = format!("https://provider.example:{port}/v1")
            .parse()
            .expect("a URL");
        let answer = ask(&upstream, &url, "hello".into()).await;
        let read = answer.expect("an answer").into_body().collect().await;
        assert_eq!(read.expect("whole").to_bytes(), "hi");
        go.send(()).expect("a server");
        is_sent.await.expect("a server");
        // Until it is there.
        tokio::time::sleep(Duration::from_millis(50)).await;

        if swept {
            assert_eq!(upstream.swept().await, usize::from(stays), "{tickets}");
        }
        let again = ask(&upstream, &url, "again".into());
        let again = tokio::time::timeout(Duration::from_millis(300), again).await;
        assert!(!matches!(again, Ok(Ok(_))), "nobody answers it");
        let same = serving.join().expect("no panic");
        assert_eq!(same, stays, "{tickets} {swept}");
    }
}
