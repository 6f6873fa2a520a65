//! Providers that answer before they have the whole body, and what may be tried after them.

use super::*;

#[tokio::test]
async fn an_answer_before_the_end_of_the_body_is_passed_and_nobody_else_is_asked() {
    let (harness, record, first) = started().await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    let given = form("gpt-x", 400_000);
    let error = br#"{"error":{"message":"no","code":"theirs"}}"#;
    for (status, told, code) in [
        (413, 413, "theirs"),
        (429, 429, "theirs"),
        (401, 502, "upstream_credentials_exhausted"),
        (503, 503, "upstream_unavailable"),
    ] {
        let mut client = Client::form(&harness, given.len()).await;
        client.send(&given[..300_000]).await;
        let mut upstream = Upstream::of(&first).await;
        upstream.reads(200_000).await;
        upstream.says(status, error).await;
        assert_eq!(client.error().await, (told, code.to_owned()), "{status}");
        upstream.reads_all().await;
        assert!(upstream.body.len() < upstream.length());
        let row = harness.usage().await.pop().expect("a row");
        let attempt = row.attempts.last().expect("an attempt");
        assert_eq!(
            (row.attempts.len(), attempt.status),
            (1, Some(status.into()))
        );
        assert_eq!((row.usage, row.cost), (None, None), "{status}");
        // What it says of the key counts all the same: it rests from one to the next.
        harness.advance(600_000);
    }
    assert_eq!(second.hits(), 0);
    let failure = harness.stored(&record).await.last_failure;
    let kind = failure.expect("what it said of the key").1;
    assert!(matches!(
        kind,
        FailureKind::NoPermission | FailureKind::InvalidKey | FailureKind::RateLimited
    ));
}

#[tokio::test]
async fn the_next_key_gets_all_of_it_while_what_went_out_is_held() {
    let (harness, _, first) = started().await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    second.hands_over_heads();
    let given = form("openai/gpt-x", 400_000);
    let expected = form("gpt-x", 400_000);
    let mut client = Client::form(&harness, given.len()).await;
    client.send(&given[..HELD_BYTES + 100]).await;
    let mut upstream = Upstream::of(&first).await;
    upstream.says(429, b"{}").await;
    let mut next = Upstream::of(&second).await;
    client.send(&given[HELD_BYTES + 100..]).await;
    next.reads(expected.len()).await;
    assert!(next.body == expected, "the form was changed");
    next.says(200, b"{}").await;
    assert_eq!(client.answer().await.0, 200);
    upstream.reads_all().await;
    assert!(upstream.body.len() < upstream.length());
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!((row.status, row.attempts.len()), (200, 2));
}

#[tokio::test]
async fn a_provider_that_breaks_off_in_the_middle_is_not_asked_again() {
    let (harness, _, first) = started().await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    let given = form("gpt-x", 400_000);
    let mut client = Client::form(&harness, given.len()).await;
    client.send(&given[..300_000]).await;
    let mut upstream = Upstream::of(&first).await;
    upstream.reads(200_000).await;
    drop(upstream);
    assert_eq!(
        client.error().await,
        (502, "upstream_unreachable".to_owned())
    );
    assert_eq!((first.hits(), second.hits()), (1, 0));
}

#[tokio::test]
async fn a_short_form_is_held_and_sent_again() {
    let harness = priced().await;
    let (_, first) = harness.own("one", |_| {}).await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    first.fails(429);
    let given = form("gpt-x", 50_000);
    let mut client = Client::form(&harness, given.len()).await;
    client.send(&given).await;
    assert_eq!(client.answer().await.0, 200);
    for provider in [first, second] {
        assert!(provider.requests().pop().expect("a request").1 == given);
    }
}
