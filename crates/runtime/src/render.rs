//! A workspace's scripts and services in the words of other supervisors: systemd, Compose.
//!
//! No key stands in what is written here. Each program is started by `keybearer run`, which mints one for it.

use domain::WorkspaceId;
use domain::service::{RunOn, Script, Service};

/// A file to write, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name: no part of a path.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// Where systemd's units find the credential of `keybearer run`.
const CREDENTIAL: &str = "/etc/keybearer/run.env";

/// A script, and the SHA-256 of its text in hex.
pub type Hashed<'a> = (&'a Script, &'a str);

/// Units for systemd, and the scripts that they run from `directory`. All names hold the workspace, so that units of several
/// can lie side by side.
pub fn systemd(
    workspace: WorkspaceId,
    directory: &str,
    scripts: &[Hashed<'_>],
    services: &[Service],
) -> Vec<File> {
    let mut files = Vec::new();
    let mut before: Option<String> = None;
    for (place, script) in scripts.iter().enumerate() {
        let name = &script.0.name;
        let unit = format!("{}script-{name}{UNIT}", prefix(workspace));
        files.push(File {
            name: script_of(&unit),
            text: script.0.content.as_str().to_owned(),
        });
        files.push(File {
            text: {
                let mut text = script_unit(workspace, directory, &unit, *script, before.as_deref());
                // It brings those before it. Services bring it, too, but there may be none that starts by itself.
                if place + 1 == scripts.len() {
                    text.push_str(AT_BOOT);
                }
                text
            },
            name: unit.clone(),
        });
        before = Some(unit);
    }
    for service in services {
        files.push(File {
            name: format!("{}service-{}{UNIT}", prefix(workspace), service.name),
            text: service_unit(workspace, service, before.as_deref()),
        });
    }
    files
}

/// What makes `systemctl enable` start a unit at boot.
const AT_BOOT: &str = "\n[Install]\nWantedBy=multi-user.target\n";

/// How the names of units end.
const UNIT: &str = ".service";

/// How the names of a workspace's units begin.
fn prefix(workspace: WorkspaceId) -> String {
    format!("keybearer-{workspace}-")
}

/// The file with the text that a script's unit runs. Scripts bear no line of ours: not every language has the same comments.
pub fn script_of(unit: &str) -> String {
    let stem = unit.strip_suffix(UNIT).unwrap_or(unit);
    format!("{stem}.script")
}

/// Whether a file with this name may be a unit of the workspace, so that it is worth reading.
pub fn may_be_unit(workspace: WorkspaceId, name: &str) -> bool {
    name.starts_with(&prefix(workspace)) && name.ends_with(UNIT)
}

/// Whether a file was written here for the workspace, as its first line says.
pub fn is_written_here(workspace: WorkspaceId, text: &str) -> bool {
    let first = text.lines().next();
    let ours = [
        first_line(workspace, "systemd"),
        first_line(workspace, "compose"),
    ];
    ours.iter().any(|line| first == Some(line))
}

fn first_line(workspace: WorkspaceId, form: &str) -> String {
    format!(
        "# Written by `keybearer workspace render --{form}` for {workspace}, which replaces or removes it the next time."
    )
}

fn head(workspace: WorkspaceId, what: &str, before: Option<&str>, more: &str) -> String {
    let first_line = first_line(workspace, "systemd");
    let before = before.map_or(String::new(), |unit| {
        format!("Requires={unit}\nAfter={unit}\n")
    });
    format!(
        "{first_line}\n\
         # There is no key in here: `keybearer run` mints one for the program, renews it and revokes it at the end. It\n\
         # needs a credential for that, in {CREDENTIAL}, for root only:\n\
         #   KEYBEARER_URL=https://...\n\
         #   KEYBEARER_API_KEY=kb_...   from: keybearer api-key create NAME --scope inference:invoke --scope keys:write\n\
         # It runs as root, in the directory /, unless a drop-in says User= and WorkingDirectory=.\n\
         [Unit]\n\
         Description={what} of the workspace {workspace}\n\
         Wants=network-online.target\n\
         After=network-online.target\n\
         {before}{more}\n\
         [Service]\n\
         EnvironmentFile={CREDENTIAL}\n"
    )
}

fn script_unit(
    workspace: WorkspaceId,
    directory: &str,
    unit: &str,
    (script, content_sha256): Hashed<'_>,
    before: Option<&str>,
) -> String {
    let name = &script.name;
    let file = format!("{directory}/{}", script_of(unit));
    let words: Vec<&str> = match script.content.as_str().starts_with("#!") {
        true => vec![&file],
        false => vec!["sh", &file],
    };
    // By what ran, not by its name: another text is due, and a text of another name is not.
    let once = format!("/var/lib/keybearer/first-boot-{workspace}-{content_sha256}");
    let once = (script.run_on == RunOn::FirstBoot).then_some(once);
    let what = format!("Script {name}");
    // Where it is met, what requires the unit starts all the same (systemd.unit, "Requires=").
    let condition = once
        .as_ref()
        .map(|once| format!("ConditionPathExists=!{once}\n"));
    let condition = condition.unwrap_or_default();
    let mut unit = head(workspace, &what, before, &condition);
    if let Some(once) = once {
        unit.push_str(&format!(
            // `+`: as root, whoever the script runs as, so that the script cannot forge the mark.
            "ExecStartPost=+/bin/sh -c \"mkdir -p /var/lib/keybearer && touch {once}\"\n"
        ));
    }
    unit.push_str(&format!(
        "Type=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/env {}\n",
        run(workspace, std::iter::empty(), words)
    ));
    unit
}

fn service_unit(workspace: WorkspaceId, service: &Service, before: Option<&str>) -> String {
    let what = format!("Service {}", service.name);
    // Otherwise the fifth start within ten seconds would be the last. Later each time from systemd 254 on; an older one
    // says that it does not know how, and starts it each second.
    let mut unit = head(workspace, &what, before, "StartLimitIntervalSec=0\n");
    for (name, value) in service.env.iter() {
        let assignment = format!("{name}={value}");
        unit.push_str(&format!("Environment={}\n", quoted(&assignment, false)));
    }
    let names = service.env.iter().map(|(name, _)| name);
    let words = service.command.words().iter().map(String::as_str);
    unit.push_str(&format!(
        "ExecStart=/usr/bin/env {}\nRestart={}\nRestartSec=1\nRestartSteps=6\nRestartMaxDelaySec=60\n",
        run(workspace, names, words),
        service.restart
    ));
    if service.auto_enable {
        unit.push_str(AT_BOOT);
    }
    unit
}

/// `keybearer run` with a program, for `ExecStart=`.
fn run<'a>(
    workspace: WorkspaceId,
    names: impl Iterator<Item = &'a str>,
    words: impl IntoIterator<Item = &'a str>,
) -> String {
    let words = arguments(workspace, names, words);
    let words = words.iter().map(|word| quoted(word, true));
    words.collect::<Vec<_>>().join(" ")
}

fn arguments<'a>(
    workspace: WorkspaceId,
    names: impl Iterator<Item = &'a str>,
    words: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let mut all = vec![
        "keybearer".to_owned(),
        "run".to_owned(),
        "--end-with-key".to_owned(),
        // What it says goes to a log.
        "--mask-output".to_owned(),
        "--workspace".to_owned(),
        workspace.to_string(),
    ];
    for name in names {
        all.extend(["--env".to_owned(), name.to_owned()]);
    }
    all.push("--".to_owned());
    all.extend(words.into_iter().map(str::to_owned));
    all
}

/// A word for a unit's file (systemd.syntax, systemd.service, "Command lines"): quoted, without specifiers, and in a command
/// without variables.
fn quoted(word: &str, in_command: bool) -> String {
    let mut text = String::from("\"");
    for char in word.chars() {
        match char {
            '"' | '\\' => text.extend(['\\', char]),
            '%' => text.push_str("%%"),
            '$' if in_command => text.push_str("$$"),
            '\n' => text.push_str("\\n"),
            char if char.is_control() => {
                let mut bytes = [0; 4];
                for byte in char.encode_utf8(&mut bytes).bytes() {
                    text.push_str(&format!("\\x{byte:02x}"));
                }
            }
            char => text.push(char),
        }
    }
    text.push('"');
    text
}

/// A Compose file. Scripts have no place in it: what they do belongs in the image.
pub fn compose(workspace: WorkspaceId, services: &[Service]) -> File {
    let first_line = first_line(workspace, "compose");
    let mut text = format!(
        "{first_line}\n\
         # There is no key in here: `keybearer run` mints one for each service, renews it and revokes it at the end. It\n\
         # needs a credential for that, in keybearer.env beside this file, for its owner only:\n\
         #   KEYBEARER_URL=https://...\n\
         #   KEYBEARER_API_KEY=kb_...   from: keybearer api-key create NAME --scope inference:invoke --scope keys:write\n\
         # The image must have `keybearer` and the services' programs; what the workspace's scripts do belongs in it, too.\n\
         name: {}\n",
        scalar(&format!("keybearer-{workspace}"))
    );
    if services.is_empty() {
        text.push_str("services: {}\n");
    } else {
        text.push_str("services:\n");
    }
    for service in services {
        let names = service.env.iter().map(|(name, _)| name);
        let words = service.command.words().iter().map(String::as_str);
        let command = arguments(workspace, names, words);
        let command: Vec<String> = command.iter().map(|word| scalar(word)).collect();
        text.push_str(&format!(
            "  {}:\n    image: ${{KEYBEARER_SERVICE_IMAGE:?name an image that has keybearer and the programs}}\n    \
             entrypoint: []\n    command: [{}]\n    env_file: [keybearer.env]\n    restart: \"{}\"\n",
            scalar(service.name.as_str()),
            command.join(", "),
            service.restart
        ));
        if !service.env.is_empty() {
            text.push_str("    environment:\n");
        }
        for (name, value) in service.env.iter() {
            text.push_str(&format!("      {}: {}\n", scalar(name), scalar(value)));
        }
        if !service.auto_enable {
            text.push_str("    profiles: [manual]\n");
        }
    }
    File {
        name: "compose.yaml".to_owned(),
        text,
    }
}

/// A text as a double-quoted scalar (YAML 1.2, 7.3.1), in which Compose replaces no variable.
fn scalar(word: &str) -> String {
    let mut text = String::from("\"");
    for char in word.chars() {
        match char {
            '"' | '\\' => text.extend(['\\', char]),
            '$' => text.push_str("$$"),
            char if char.is_control()
                || matches!(
                    char,
                    '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
                ) =>
            {
                text.push_str(&format!("\\u{:04x}", u32::from(char)));
            }
            char => text.push(char),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::service::Restart;

    use super::*;

    fn service() -> Service {
        let words = ["sh", "-c", "echo \"$HOME\" 100% \\"].map(str::to_owned);
        let env = BTreeMap::from([("GREETING".to_owned(), "a \"b\"\n$c %d".to_owned())]);
        Service {
            name: "web".parse().expect("a name"),
            command: words.to_vec().try_into().expect("a command"),
            env: env.try_into().expect("variables"),
            restart: Restart::OnFailure,
            auto_enable: true,
        }
    }

    #[test]
    fn units_say_what_runs_and_hold_no_key() {
        let workspace = WorkspaceId::from_bytes([0; 16]);
        let script = Script {
            name: "tools".parse().expect("a name"),
            run_on: RunOn::FirstBoot,
            order: Default::default(),
            content: "echo x\n".parse().expect("a script"),
        };
        let hash = "5".repeat(64);
        let files = systemd(workspace, "/srv/units", &[(&script, &hash)], &[service()]);
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(
            names,
            [
                format!("keybearer-{workspace}-script-tools.script"),
                format!("keybearer-{workspace}-script-tools.service"),
                format!("keybearer-{workspace}-service-web.service"),
            ]
        );
        assert!(files[1].text.contains(&format!(
            "\"sh\" \"/srv/units/keybearer-{workspace}-script-tools.script\""
        )));
        let mark =
            format!("ConditionPathExists=!/var/lib/keybearer/first-boot-{workspace}-{hash}\n");
        assert!(files[1].text.contains(&mark), "{}", files[1].text);
        // Whatever services there are, scripts run at boot, as `workspace up` runs them.
        assert!(
            files[1]
                .text
                .ends_with("\n[Install]\nWantedBy=multi-user.target\n")
        );
        let first = Script {
            name: "first".parse().expect("a name"),
            ..script.clone()
        };
        let scripts = [(&first, hash.as_str()), (&script, hash.as_str())];
        let both = systemd(workspace, "/srv/units", &scripts, &[]);
        assert!(!both[1].text.contains("[Install]") && both[3].text.contains("[Install]"));
        let first = format!("Requires=keybearer-{workspace}-script-first.service\n");
        assert!(both[3].text.contains(&first), "{}", both[3].text);
        for (file, is_unit) in files.iter().zip([false, true, true]) {
            assert_eq!(may_be_unit(workspace, &file.name), is_unit, "{}", file.name);
            assert_eq!(
                is_written_here(workspace, &file.text),
                is_unit,
                "{}",
                file.name
            );
        }
        let other = WorkspaceId::from_bytes([1; 16]);
        assert!(!may_be_unit(other, &files[2].name) && !is_written_here(other, &files[2].text));
        let unit = &files[2].text;
        let after = format!("After=keybearer-{workspace}-script-tools.service\n");
        assert!(unit.contains(&after));
        assert!(unit.contains("Environment=\"GREETING=a \\\"b\\\"\\n$c %%d\"\n"));
        assert!(unit.contains(
            "\"--env\" \"GREETING\" \"--\" \"sh\" \"-c\" \"echo \\\"$$HOME\\\" 100%% \\\\\"\n"
        ));
        assert!(
            unit.contains("\nStartLimitIntervalSec=0\n\n[Service]\n"),
            "{unit}"
        );
        assert!(unit.contains("Restart=on-failure\n") && unit.contains("WantedBy="));
    }

    #[test]
    fn a_compose_file_replaces_no_variable() {
        let file = compose(WorkspaceId::from_bytes([0; 16]), &[service()]);
        assert!(file.text.contains("\"echo \\\"$$HOME\\\" 100% \\\\\"]\n"));
        assert!(
            file.text
                .contains("      \"GREETING\": \"a \\\"b\\\"\\u000a$$c %d\"\n")
        );
        assert!(file.text.contains("    restart: \"on-failure\"\n"));
    }
}
