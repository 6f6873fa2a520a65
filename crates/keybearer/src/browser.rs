//! Opening a page in the browser of whoever sits at this machine.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::config::variable;

/// How long the program that opens pages may take to say that it cannot.
const OPENED_WITHIN: Duration = Duration::from_secs(2);
/// What stands for the page in `BROWSER`.
const PAGE: &str = "%s";

/// A program that opens pages.
pub(crate) struct Browser {
    program: String,
    arguments: Vec<String>,
}

impl Browser {
    /// The first one of `BROWSER`, else the one of the desktop; `None` where no person sits in front of a screen of this
    /// machine: over SSH a page would open where nobody sees it.
    pub(crate) fn here() -> Option<Self> {
        let is_set = |names: [&str; 2]| names.iter().any(|it| variable(it).is_some());
        if is_set(["SSH_CONNECTION", "SSH_TTY"]) {
            return None;
        }
        if !is_set(["DISPLAY", "WAYLAND_DISPLAY"]) && !cfg!(target_os = "macos") {
            return None;
        }
        let chosen = variable("BROWSER").and_then(|it| Self::named(&it));
        chosen.or_else(|| {
            Self::named(match cfg!(target_os = "macos") {
                true => "open",
                false => "xdg-open",
            })
        })
    }

    /// The first of a list with colons between its commands, each of words with blanks between.
    fn named(list: &str) -> Option<Self> {
        let commands = list.split(':').map(str::split_whitespace);
        let mut words = commands.map(|it| it.map(str::to_owned));
        words.find_map(|mut words| {
            let program = words.next()?;
            let arguments = words.collect();
            Some(Self { program, arguments })
        })
    }

    /// Opens a page, or a file that leads to it; false where that failed. Everybody on the machine can read what is opened: it
    /// holds no secret.
    pub(crate) async fn open(&self, page: &str) -> bool {
        let mut command = Command::new(&self.program);
        command.args(self.arguments_for(page));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // Ctrl-C here is not meant for the browser.
        command.process_group(0);
        let Ok(mut child) = command.spawn() else {
            return false;
        };
        // Some of them stay as long as the browser does.
        let (ended, end) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || ended.send(child.wait()));
        match tokio::time::timeout(OPENED_WITHIN, end).await {
            Ok(Ok(Ok(status))) => status.success(),
            Ok(_) => false,
            Err(_) => true,
        }
    }

    fn arguments_for(&self, page: &str) -> Vec<String> {
        if self.arguments.iter().any(|it| it.contains(PAGE)) {
            let arguments = self.arguments.iter();
            return arguments.map(|it| it.replace(PAGE, page)).collect();
        }
        let page = std::iter::once(page.to_owned());
        self.arguments.iter().cloned().chain(page).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_browser_of_the_list_gets_the_page_where_it_wants_it() {
        for (list, shown) in [
            ("firefox", "firefox|page"),
            ("firefox --new-window:lynx", "firefox|--new-window|page"),
            ("w3m %s -x", "w3m|page|-x"),
            (": :lynx", "lynx|page"),
        ] {
            let browser = Browser::named(list).expect("one");
            let words = browser.arguments_for("page").join("|");
            assert_eq!(format!("{}|{words}", browser.program), shown);
        }
        assert!(Browser::named(" :").is_none());
    }
}
