//! Which addresses are dialed.

pub(crate) mod tls;

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;

fn policy(ranges: &[&str]) -> AddressPolicy {
    AddressPolicy {
        allow: ranges
            .iter()
            .map(|range| range.parse().expect("a range"))
            .collect(),
    }
}

/// Answers every name with `answers` and counts the questions.
fn scripted(answers: &[&str]) -> (Resolver, Arc<AtomicUsize>) {
    let answers: Vec<IpAddr> = answers
        .iter()
        .map(|text| text.parse().expect("an address"))
        .collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let resolver: Resolver = Arc::new(move |_, port| {
        counter.fetch_add(1, Ordering::SeqCst);
        let answers = answers.clone();
        Box::pin(async move {
            Ok(answers
                .iter()
                .map(|ip| SocketAddr::new(*ip, port))
                .collect())
        })
    });
    (resolver, asked)
}

async fn vet(policy: AddressPolicy, answers: &[&str], uri: &str) -> Result<usize, ConnectError> {
    let (resolver, _) = scripted(answers);
    let uri: Uri = uri.parse().expect("a URI");
    VettedConnector::with_resolver(policy, resolver)
        .vet(&uri)
        .await
        .map(|addresses| addresses.len())
}

#[tokio::test]
async fn loopback_is_refused_by_default_and_receives_nothing() {
    // T48
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mut connector = VettedConnector::new(AddressPolicy::default());
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"] {
        let uri: Uri = format!("https://{host}:{port}/").parse().expect("a URI");
        let refused = connector.call(uri).await;
        assert!(matches!(refused, Err(ConnectError::Refused)), "{host}");
    }
    let waited = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(waited.is_err(), "somebody connected");
}

#[tokio::test]
async fn ip_literals_are_vetted_although_no_resolver_is_asked() {
    // T40
    let (resolver, asked) = scripted(&["1.1.1.1"]);
    let connector = VettedConnector::with_resolver(AddressPolicy::default(), resolver);
    for host in [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "[::1]",
        "[fd00:ec2::254]",
    ] {
        let uri: Uri = format!("https://{host}/").parse().expect("a URI");
        let vetted = connector.vet(&uri).await;
        assert!(matches!(vetted, Err(ConnectError::Refused)), "{host}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn one_answer_that_is_not_public_refuses_all() {
    // T37, T38
    for answers in [
        ["1.1.1.1", "127.0.0.1"],
        ["10.0.0.1", "1.1.1.1"],
        ["2606:4700::1111", "::1"],
        ["fd00::1", "1.1.1.1"],
    ] {
        let vetted = vet(AddressPolicy::default(), &answers, "https://p.test/").await;
        assert!(matches!(vetted, Err(ConnectError::Refused)), "{answers:?}");
    }
    let both = vet(
        AddressPolicy::default(),
        &["1.1.1.1", "2606:4700::1111"],
        "https://p.test/",
    );
    assert_eq!(both.await.expect("public addresses"), 2);
}

#[tokio::test]
async fn each_dial_asks_and_vets_again() {
    // T39
    let (resolver, asked) = scripted(&["127.0.0.1"]);
    let mut connector = VettedConnector::with_resolver(AddressPolicy::default(), resolver);
    for _ in 0..3 {
        let refused = connector.call(Uri::from_static("https://p.test/")).await;
        assert!(matches!(refused, Err(ConnectError::Refused)));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn metadata_addresses_are_refused_even_inside_an_allowed_range() {
    // T48
    let all = policy(&["0.0.0.0/0", "::/0"]);
    for host in ["169.254.169.254", "100.100.100.200", "[fd00:ec2::254]"] {
        let vetted = vet(all.clone(), &[], &format!("http://{host}/")).await;
        assert!(matches!(vetted, Err(ConnectError::Refused)), "{host}");
    }
}

#[tokio::test]
async fn plain_http_reaches_allowed_ranges_only() {
    let allowed = policy(&["127.0.0.0/8"]);
    assert!(vet(allowed.clone(), &[], "http://127.0.0.1/").await.is_ok());
    let public = vet(allowed.clone(), &["1.1.1.1"], "http://p.test/").await;
    assert!(matches!(public, Err(ConnectError::Scheme)));
    let other = vet(allowed, &["1.1.1.1"], "ftp://p.test/").await;
    assert!(matches!(other, Err(ConnectError::Scheme)));
}

#[tokio::test]
async fn a_silent_tls_peer_is_given_up_after_the_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let tcp = VettedConnector::new(policy(&["127.0.0.0/8"]));
    let mut connector = Connector::new(tcp, Duration::from_millis(50)).expect("TLS");
    let uri: Uri = format!("https://127.0.0.1:{port}/").parse().expect("a URI");
    let error = connector.call(uri).await.expect_err("no TLS peer");
    assert!(matches!(error.downcast_ref(), Some(ConnectError::TimedOut)));
    drop(listener);
}
