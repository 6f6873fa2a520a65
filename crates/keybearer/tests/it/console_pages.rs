//! The console as a browser gets it: its pages, what they may do, and the short ways to them. What the pages do is
//! tested in a browser, in `console/tests`.

use reqwest::Method;

use super::builder;

const ACCEPT_PAGE: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

#[tokio::test]
async fn people_are_led_to_the_console_and_programs_are_not() {
    let app = builder().start().await;
    let anonymous = app.anonymous();
    let root = anonymous.send(Method::GET, "/", &[ACCEPT_PAGE], None).await;
    assert_eq!(
        (root.status, root.header("location")),
        (303, Some("/console/"))
    );
    anonymous.get("/").await.expect_error(404, "not_found");
    for (short, long) in [("/setup", "/console/setup"), ("/console", "/console/")] {
        let led = anonymous.get(short).await;
        assert_eq!(
            (led.status, led.header("location")),
            (303, Some(long)),
            "{short}"
        );
    }
}

#[tokio::test]
async fn every_page_has_the_strict_policy_and_is_not_kept() {
    // T113, T116
    let app = builder().start().await;
    for path in [
        "/console/",
        "/console/setup",
        "/console/w/ws_1/keys",
        "/console/login",
    ] {
        let page = app.anonymous().get(path).await;
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8"),
            "{path}"
        );
        assert_eq!(page.header("cache-control"), Some("no-store"), "{path}");
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(
            policy.starts_with("default-src 'none'; "),
            "{path}: {policy}"
        );
        for forbidden in ["unsafe", "http:", "https:", "*", "nonce", "blob:"] {
            assert!(!policy.contains(forbidden), "{path}: {policy}");
        }
        for part in ["base-uri 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        match page.status {
            200 => {
                let trusted = "require-trusted-types-for 'script'";
                assert!(policy.contains(trusted), "{path}: {policy}");
                assert!(policy.contains("script-src 'self';"), "{path}: {policy}");
            }
            // Built by cargo alone: it says how to build the rest.
            status => {
                assert_eq!(status, 503, "{path}");
                assert!(page.text().contains("scripts/build_console.sh"), "{path}");
                assert!(!policy.contains("script-src"), "{path}: {policy}");
            }
        }
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_a_page() {
    let app = builder().start().await;
    for path in ["/console/assets/index-0000.js", "/console/nothing.css"] {
        app.anonymous()
            .get(path)
            .await
            .expect_error(404, "not_found");
    }
}

#[tokio::test]
async fn assets_are_kept_and_come_compressed() {
    let app = builder().start().await;
    let page = app.anonymous().get("/console/").await;
    // Nothing to see where the console was not built; `make test` builds it.
    if page.status == 503 {
        return;
    }
    let text = page.text();
    let (_, rest) = text.split_once("src=\"/console/assets/").expect("a script");
    let (name, _) = rest.split_once('"').expect("the end of an attribute");
    let path = format!("/console/assets/{name}");
    let plain = app.anonymous().get(&path).await.expect(200);
    assert_eq!(
        plain.header("cache-control"),
        Some("public, max-age=31536000, immutable")
    );
    assert_eq!(
        plain.header("content-type"),
        Some("text/javascript; charset=utf-8")
    );
    assert_eq!(plain.header("content-encoding"), None);
    for encoding in ["br", "gzip"] {
        let headers = [("accept-encoding", encoding)];
        let small = app
            .anonymous()
            .send(Method::GET, &path, &headers, None)
            .await
            .expect(200);
        assert_eq!(small.header("content-encoding"), Some(encoding));
        assert_eq!(small.header("vary"), Some("accept-encoding"));
        assert!(small.body.len() * 2 < plain.body.len(), "{encoding}");
    }
}
