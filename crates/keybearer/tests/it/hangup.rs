//! SIGHUP to a server: the configuration is read again, and nothing else changes.

use std::time::Duration;

use crate::{builder, local};

#[tokio::test]
async fn sighup_takes_the_log_filter_names_what_needs_a_restart_and_keeps_the_old_when_broken() {
    let dir = tempfile::Builder::new().prefix("kb-test-").tempdir();
    let dir = dir.expect("a temp dir");
    let file = dir.path().join("kb.toml");
    let write = |text: &str| std::fs::write(&file, text).expect("can be written");
    write("log = 'info'\nmax_body_bytes = 2048\n");
    let mut builder = builder().arguments(&["serve", "--config", "kb.toml"]);
    builder.remove_env("KEYBEARER_LOG");
    let mut app = builder.try_start_in(dir).await.expect("it starts");
    let says = async |app: &testkit::app::TestApp, text: &str| {
        local::hang_up(app.pid());
        local::wait_until(text, || app.stderr().contains(text)).await;
    };
    says(&app, "nothing needs a restart").await;

    write("log = 'error'\nmax_body_bytes = 'hunter2'\n");
    says(&app, "the configuration stays as it was").await;
    assert!(app.stderr().contains("line 2"), "{}", app.stderr());

    write("log = 'info'\nmax_body_bytes = 4096\nlisten = '127.0.0.1:1'\n");
    says(&app, "need a restart: max_body_bytes").await;
    app.anonymous().get("/health").await.expect(200);

    // It still does, and is named again.
    local::hang_up(app.pid());
    local::wait_until("a second warning", || {
        app.stderr()
            .matches("need a restart: max_body_bytes")
            .count()
            == 2
    })
    .await;

    write("log = 'debug'\nmax_body_bytes = 4096\n");
    assert!(!app.stderr().contains(" DEBUG "));
    says(&app, "option log is debug now").await;
    app.anonymous().get("/health").await.expect(200);
    local::wait_until("debug lines", || app.stderr().contains(" DEBUG ")).await;

    // Nothing else ends it, and it still ends as it should.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(app.is_running() && app.terminate().await.success());
}
