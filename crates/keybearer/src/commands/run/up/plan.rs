//! What a workspace would have a machine run, as the server says it.

use anyhow::{Context, ensure};
use domain::service::{Script, Service};
use domain::{ScriptId, WorkspaceId};
use serde::de::DeserializeOwned;
use serde_json::Value;
use vault::content_sha256;

use crate::client::Api;
use crate::output::tell;

/// A script with its id and the hash of its text.
pub(crate) struct Due {
    pub(crate) id: ScriptId,
    pub(crate) script: Script,
    pub(crate) content_sha256: String,
}

/// A service with the hash of its definition.
pub(crate) struct Defined {
    pub(crate) service: Service,
    pub(crate) content_sha256: String,
}

/// Scripts in their order, and services by name.
pub(crate) struct Plan {
    pub(crate) scripts: Vec<Due>,
    pub(crate) services: Vec<Defined>,
}

impl Plan {
    /// Asks the server. What has not the form that the server itself demands is refused.
    pub(crate) async fn read(api: &Api, workspace: WorkspaceId) -> anyhow::Result<Self> {
        let path = format!("/api/v1/workspaces/{workspace}");
        let listed = api.get_list(&format!("{path}/scripts")).await?;
        let mut scripts = Vec::new();
        for entry in entries(&listed) {
            let id: ScriptId = read(&entry["id"], "a script's id")?;
            let whole = api.get(&format!("{path}/scripts/{id}")).await?;
            let script: Script = read(&whole, "a script")?;
            let hash = content_sha256(script.content.as_str().as_bytes());
            ensure!(
                whole["content_sha256"] == hash.as_str(),
                "the script {} is not what the server says that it is",
                script.name
            );
            scripts.push(Due {
                id,
                script,
                content_sha256: hash,
            });
        }
        let listed = api.get_list(&format!("{path}/services")).await?;
        let mut services = Vec::new();
        for entry in entries(&listed) {
            let name = entry["name"].as_str().unwrap_or("without a name");
            let service: Service = read(entry, &format!("the service {name}"))?;
            // As the server does it. A newer one may know of more than this binary does: that is not run either.
            let definition = serde_json::to_vec(&service).context("a service is not JSON")?;
            let hash = content_sha256(&definition);
            ensure!(
                entry["content_sha256"] == hash.as_str(),
                "the service {} is not what the server says that it is",
                service.name
            );
            services.push(Defined {
                service,
                content_sha256: hash,
            });
        }
        Ok(Self { scripts, services })
    }

    /// The hash of all that machines run, whichever of it is due on this one: of a line for each script in their order and
    /// for each service that starts by itself.
    pub(crate) fn content_sha256(&self) -> String {
        let mut text = String::new();
        for due in &self.scripts {
            let script = &due.script;
            let hash = &due.content_sha256;
            text.push_str(&format!(
                "script {} {} {hash}\n",
                script.name, script.run_on
            ));
        }
        let started = self.services.iter().filter(|it| it.service.auto_enable);
        for defined in started {
            let name = &defined.service.name;
            text.push_str(&format!("service {name} {}\n", defined.content_sha256));
        }
        content_sha256(text.as_bytes())
    }

    /// Shows all of it to who is to agree, texts included.
    pub(crate) fn show(&self, due_here: impl Fn(&Due) -> bool) {
        for due in &self.scripts {
            let script = &due.script;
            let ran = match due_here(due) {
                true => "",
                false => ", ran on this machine already",
            };
            tell(&format!(
                "Script {} ({}, sha256 {}{ran}):",
                script.name, script.run_on, due.content_sha256
            ));
            for line in script.content.as_str().lines() {
                tell(&format!("    {}", line.replace('\t', "    ")));
            }
        }
        for defined in &self.services {
            let service = &defined.service;
            let words = service.command.words().iter();
            let words = words.map(|word| runtime::variables::quoted(word));
            tell(&format!(
                "Service {} (restart {}, sha256 {}): {}",
                service.name,
                service.restart,
                defined.content_sha256,
                words.collect::<Vec<_>>().join(" ")
            ));
            for (name, value) in service.env.iter() {
                let value = runtime::variables::quoted(value);
                tell(&format!("    {name}={value}"));
            }
        }
    }
}

fn entries(list: &Value) -> &[Value] {
    list["data"].as_array().map_or(&[], Vec::as_slice)
}

/// The parser's own text could repeat what the answer says.
fn read<T: DeserializeOwned>(value: &Value, what: &str) -> anyhow::Result<T> {
    let read = serde_json::from_value(value.clone()).ok();
    read.with_context(|| format!("the server's answer has {what} of another form"))
}
