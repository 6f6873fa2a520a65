//! What is said of a panic: where it was, and its text only if that is part of the program.
//!
//! A text that was put together at the time may hold whatever was at hand, a key too; the standard library prints it.

use std::io::Write;
use std::panic::PanicHookInfo;

/// From now on no panic of this process prints what it was given.
pub(crate) fn withhold_texts() {
    std::panic::set_hook(Box::new(|panic| {
        let text = told(panic);
        // Printed at once and not logged: the panic may have come from the log. Whoever cannot be told is not; a panic in
        // here would end the process.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }));
}

fn told(panic: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("without a name");
    let place = panic
        .location()
        .map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let text = match panic.payload().downcast_ref::<&'static str>() {
        Some(text) => text,
        None => "(its text is withheld: it may hold a secret)",
    };
    // Names of functions and lines; as `RUST_BACKTRACE` says.
    let trace = std::backtrace::Backtrace::capture();
    let trace = match trace.status() {
        std::backtrace::BacktraceStatus::Captured => format!("{trace}\n"),
        _ => String::new(),
    };
    format!("thread '{thread}' panicked at {place}: {text}\n{trace}")
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::process::Command;

    use super::*;

    const SECRET: &str = "sk-secret-in-a-panic-0123456789";
    const CHILD: &str = "PANICS";

    /// Panics when it is formatted.
    struct Unspeakable(String);

    impl fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("while {} was logged", self.0)
        }
    }

    /// Panics when it is dropped.
    struct Undroppable(String);

    impl Drop for Undroppable {
        fn drop(&mut self) {
            panic!("while {} was dropped", self.0)
        }
    }

    /// What the child does, each in a thread of its own. The key is on the stack of each.
    fn panics() {
        withhold_texts();
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .init();
        let all: [fn(String); 5] = [
            |secret| panic!("with {secret}"),
            |secret| {
                let failed: Result<(), String> = std::hint::black_box(Err(secret));
                failed.expect("fails");
            },
            |secret| drop(Undroppable(secret)),
            |secret| tracing::info!("of {}", Unspeakable(secret)),
            |secret| {
                drop(secret);
                panic!("a text of the program")
            },
        ];
        for (at, one) in all.into_iter().enumerate() {
            let thread = std::thread::spawn(move || one(SECRET.to_owned()));
            assert!(thread.join().is_err(), "{at}");
            tracing::info!("lives after {at}");
        }
    }

    #[test]
    fn a_panic_tells_where_it_was_and_no_secret() {
        // T71
        if crate::config::variable(CHILD).is_some() {
            return panics();
        }
        let this = std::env::current_exe().expect("a program");
        let name = "panics::tests::a_panic_tells_where_it_was_and_no_secret";
        for trace in ["0", "full"] {
            let mut child = Command::new(&this);
            child.args(["--exact", name, "--nocapture"]);
            child.env(CHILD, "1").env("RUST_BACKTRACE", trace);
            let ended = child.output().expect("it ends");
            let [out, err] = [&ended.stdout, &ended.stderr].map(|it| String::from_utf8_lossy(it));
            assert!(ended.status.success(), "{out}\n{err}");
            for text in [&out, &err] {
                assert!(!text.contains("secret-in-a-panic"), "{text}");
            }
            assert_eq!(err.matches("(its text is withheld").count(), 4, "{err}");
            assert_eq!(
                err.matches("panicked at crates/keybearer/src/panics.rs:")
                    .count(),
                5,
                "{err}"
            );
            assert!(err.contains("a text of the program"), "{err}");
            // The log goes on after a panic in its middle.
            assert_eq!(err.matches("lives after ").count(), 5, "{err}");
            assert_eq!(
                err.contains("stack backtrace") || err.contains("  0: "),
                trace == "full",
                "{err}"
            );
        }
    }
}
