//! Documents for many readers: what they take in memory, when they end, and what is in them.

use testkit::app::Streaming;

use super::*;

/// Large enough to see whether it is in memory.
const LARGE: usize = 4 * 1024 * 1024;
/// As large as a picture may be, and more than what connections hold back.
const LARGEST: usize = 8 * 1024 * 1024;

fn large_picture(length: usize) -> Script {
    let mut bytes = PNG.to_vec();
    let mut value: u32 = 1;
    while bytes.len() < length {
        // Nothing that a database would make smaller.
        value = value.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes.truncate(length);
    let data = json!([{ "b64_json": STANDARD.encode(bytes) }]);
    Script::json(200, &json!({"created": 1_700_000_000, "data": data}))
}

impl Studio {
    /// A run with one large picture, and its link.
    async fn large(&self, length: usize) -> (String, String) {
        self.google.on_path(GOOGLE_IMAGES, large_picture(length));
        let body = json!({"prompt": "A dot.", "output_types": ["image"], "visibility": "link"});
        let run = self.create(&body).await;
        let link = run["link_path"].as_str().expect("a link").to_owned();
        let ended = self.ended(&id(&run)).await;
        assert_eq!(ended["status"], "succeeded", "{ended}");
        (id(&run), link)
    }
}

#[tokio::test]
async fn readers_of_a_link_have_bounded_memory_however_many_and_slow_they_are() {
    let studio = Studio::start().await;
    let (run, link) = studio.large(LARGE).await;
    let anybody = studio.fixture.app.anonymous();
    let image = format!("{link}/images/1");
    // Once before it is measured, for what is kept ready in any case.
    let whole = anybody.get(&image).await.expect(200);
    assert_eq!(whole.body.len(), LARGE);
    assert_eq!(whole.header("content-length"), Some("4194304"));
    assert_eq!(whole.header("cache-control"), Some("no-store"));
    let before = studio.fixture.app.resident_bytes();
    let mut readers: Vec<Streaming> = Vec::new();
    let refused = loop {
        let mut reader = anybody.listen(&image, &[]).await;
        if reader.status != 200 {
            break reader;
        }
        reader.next().await.expect("begins");
        readers.push(reader);
        assert!(readers.len() < 64, "there is no bound");
    };
    assert!(readers.len() >= 8, "{}", readers.len());
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("5"));
    let refused = refused.rest().await.expect("a body");
    assert!(String::from_utf8_lossy(&refused).contains("too_many_readers"));
    let grown = studio.fixture.app.resident_bytes().saturating_sub(before);
    assert!(
        grown < readers.len() * LARGE / 2,
        "{grown} bytes for {}",
        readers.len()
    );
    // Those who are at work are others, and wait for nobody's turn.
    let page = studio.document(&run, "html").await.expect(200);
    assert!(page.body.len() > LARGE, "with its picture");
    let path = studio.path(&format!("/{run}/images/1"));
    let seen = studio.session().get(&path).await.expect(200);
    assert_eq!(seen.body, whole.body);
    // A place is given back by who reads to the end and by who goes away.
    let rest = readers.pop().expect("one").rest().await.expect("whole");
    assert_eq!(rest, whole.body);
    anybody.get(&image).await.expect(200);
    drop(readers);
    let deadline = Instant::now() + Duration::from_secs(60);
    while anybody.get(&link).await.status != 200 {
        assert!(Instant::now() < deadline, "no place is given back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    studio.finish().await;
}

#[tokio::test]
async fn a_link_that_is_withdrawn_ends_for_those_too_who_read() {
    let studio = Studio::start().await;
    let (run, link) = studio.large(LARGEST).await;
    let anybody = studio.fixture.app.anonymous();
    let mut reader = anybody.listen(&format!("{link}/images/1"), &[]).await;
    assert!(reader.next().await.expect("begins").is_some());
    let private = json!({"visibility": "private"});
    let path = studio.path(&format!("/{run}"));
    studio.session().patch(&path, &private).await.expect(200);
    assert!(reader.rest().await.is_err(), "it reads to the end");
    studio.finish().await;
}

#[tokio::test]
async fn a_member_who_is_removed_reads_no_further() {
    let studio = Studio::start().await;
    let (run, _) = studio.large(LARGEST).await;
    let fixture = &studio.fixture;
    let member = fixture.app.member(&fixture.owner).await;
    let image = studio.path(&format!("/{run}/images/1"));
    let mut reader = member.session.listen(&image, &[]).await;
    assert!(reader.next().await.expect("begins").is_some());
    let seat = fixture.path(&format!("/members/{}", member.user));
    studio.session().delete(&seat).await.expect(204);
    assert!(reader.rest().await.is_err(), "it reads to the end");
    studio.finish().await;
}

#[tokio::test]
async fn a_page_says_no_language_and_an_exported_one_carries_its_policy() {
    let studio = Studio::start().await;
    let body = json!({"prompt": "The sea.", "model": "gpt-4o", "visibility": "link", "output_types": ["script", "image"]});
    let run = studio.create(&body).await;
    studio.ended(&id(&run)).await;
    let link = run["link_path"].as_str().expect("a link");
    let page = studio.fixture.app.anonymous().get(link).await.expect(200);
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let exported = studio.document(&id(&run), "html").await.expect(200);
    for page in [page.text(), exported.text()] {
        assert!(
            page.contains("<html>\n") && !page.contains("lang="),
            "{page}"
        );
    }
    let policy = exported.header("content-security-policy").expect("one");
    let inside = exported.text();
    let (_, rest) = inside
        .split_once("<meta http-equiv=\"content-security-policy\" content=\"")
        .expect("a policy");
    let (inside, _) = rest.split_once('"').expect("its end");
    assert!(policy.starts_with(inside), "{policy} and {inside}");
    assert!(inside.contains("default-src 'none'") && inside.contains("img-src data:"));
    studio.finish().await;
}

#[tokio::test]
async fn an_exported_markdown_file_has_its_own_pictures_and_no_others() {
    let studio = Studio::start().await;
    let script = "# A\n\n![t](https://evil.test/t.png) <img src=\"https://evil.test/u.png\"> [picture-1]\n\n\
                  [picture-1]: https://evil.test/v.png\n\n```\nnever closed";
    let answer = chat("gpt-4o", script, TOKENS);
    studio.fixture.provider.on_path(CHAT, answer);
    let run = studio.made(&both()).await;
    let text = studio.document(&id(&run), "markdown").await.expect(200);
    let length = text.header("content-length").map(str::to_owned);
    let text = text.text();
    assert_eq!(length, Some(text.len().to_string()));
    let picture = format!(
        "[pictures-1]: data:image/png;base64,{}\n",
        STANDARD.encode(PNG)
    );
    assert!(text.ends_with(&picture), "{text}");
    assert!(
        text.contains("never closed\n```\n\n![Picture 1][pictures-1]\n"),
        "{text}"
    );
    assert!(
        text.contains("\\![t](") && text.contains("\\<img"),
        "{text}"
    );
    // As JSON it is as the model wrote it.
    let json = studio.document(&id(&run), "json").await.expect(200).json();
    assert_eq!(json["script"], script);
    studio.finish().await;
}

#[tokio::test]
async fn a_stream_of_events_is_taken_up_where_it_was() {
    let studio = Studio::start().await;
    let slow = chat("gpt-4o", SCRIPT, TOKENS).delay(Duration::from_secs(2));
    studio.fixture.provider.on_path(CHAT, slow);
    let run = id(&studio.create(&script_only()).await);
    studio
        .fixture
        .provider
        .wait_until("the call", |it| !of_path(it, CHAT).is_empty())
        .await;
    let known = studio.get(&run).await["version"].to_string();
    let path = studio.path(&format!("/{run}/events"));
    let after = |version: String| {
        let (session, path) = (studio.session().clone(), path.clone());
        async move {
            let headers = [("last-event-id", version.as_str())];
            session.send(Method::GET, &path, &headers, None).await
        }
    };
    let text = after(known.clone()).await.expect(200).text();
    assert!(!text.contains(&format!("id: {known}\n")), "{text}");
    assert!(text.contains("\"status\":\"succeeded\""), "{text}");
    // Whoever knows the end need not come again; whoever does not is told.
    let last = studio.get(&run).await["version"].to_string();
    after(last).await.expect(204);
    let text = after(known).await.expect(200).text();
    assert!(text.contains("\"status\":\"succeeded\""), "{text}");
    studio.finish().await;
}
