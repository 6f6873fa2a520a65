//! Keeps the stored keys in step with what is found in the environment.
//!
//! Three things may say something new: the file of `--env-file`, `keybearer reload`, and the parent process, which is
//! looked at on `SIGHUP`. A variable of the file wins over the same one of the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use control::ControlState;
use control::ops::local::{self, Change, Found, Kept, Owner, What};
use domain::{ProviderId, Secret};
use serde::{Deserialize, Serialize};

use super::env_file::EnvFile;
use super::exchange::{OneCompared, Verdict};
use super::files;
use crate::config::{self, Parent};
use crate::serve::refused;

/// Values by the names of their variables.
pub(super) type Variables = BTreeMap<String, Secret>;

/// How long to wait before what could not be stored is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// What was found, and what became of it.
pub(super) struct Rotation {
    control: ControlState,
    owner: Arc<Owner>,
    /// Where a key is looked for, first to last, by provider.
    places: Vec<(ProviderId, Vec<String>)>,
    /// What is set in the environment, as far as it was told.
    environment: Variables,
    file: Option<EnvFile>,
    /// The parent process as it was seen last.
    parent: Option<Parent>,
    /// Variables that were said to name no provider.
    strangers: BTreeSet<String>,
    /// When to try again what could not be stored.
    again_at: Option<Instant>,
    /// What became of a value that was not taken, and why, by the variable.
    untaken: BTreeMap<String, (Verdict, String)>,
    kept: Vec<Kept>,
    /// Where `kept` is written for the next start.
    kept_file: PathBuf,
}

/// What came of another shell's variables.
pub(super) struct Taken {
    pub(super) changes: Vec<Change>,
    /// What is set here and stays, because that shell has none.
    pub(super) stay: Vec<String>,
    pub(super) overridden: Vec<Overridden>,
}

/// A variable that is set to another value than the one that counts.
#[derive(Serialize, Deserialize)]
pub(super) struct Overridden {
    /// The variable.
    pub(super) variable: String,
    /// The one that counts in its place; it may have the same name.
    pub(super) by: String,
    /// Whether that one stands in the env file.
    pub(super) in_env_file: bool,
}

/// The variable that counts for a provider.
#[derive(Clone, Copy)]
struct First<'a> {
    variable: &'a str,
    value: &'a Secret,
    in_file: bool,
}

impl Rotation {
    /// Looks at the environment and the file for the first time.
    pub(super) async fn begin(
        control: &ControlState,
        owner: Arc<Owner>,
        directory: &Path,
        file: Option<EnvFile>,
    ) -> anyhow::Result<(Self, Vec<Change>)> {
        let places = local::variables(control);
        let names = places.iter().flat_map(|(_, names)| names);
        let kept_file = directory.join("local-keys.json");
        let mut rotation = Self {
            control: control.clone(),
            owner,
            environment: config::secrets(names.clone().map(String::as_str)),
            parent: config::parent(names.map(String::as_str)),
            places,
            file,
            strangers: BTreeSet::new(),
            again_at: None,
            untaken: BTreeMap::new(),
            kept: read(&kept_file)?,
            kept_file,
        };
        let changes = rotation.apply().await?;
        let set = config::environment().filter_map(|(name, _)| name.into_string().ok());
        rotation.warn_of_strangers(&set.collect::<Vec<_>>());
        Ok((rotation, changes))
    }

    /// The providers for which nothing is set, and what was looked for.
    pub(super) fn not_found(&self) -> Vec<(ProviderId, Vec<String>)> {
        let places = self
            .places
            .iter()
            .filter(|(_, names)| self.first(names).is_none());
        places.cloned().collect()
    }

    /// Every name under which a key is looked for.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.places.iter().flat_map(|(_, names)| names);
        names.map(String::as_str)
    }

    /// Takes the variables of another shell in place of those of the same names; `exact`: in place of all.
    pub(super) async fn take(&mut self, mut told: Variables, exact: bool) -> anyhow::Result<Taken> {
        told.retain(|name, _| self.names().any(|known| known == name));
        let stay = |name: &&String| !exact && !told.contains_key(*name);
        let stay: Vec<String> = self.environment.keys().filter(stay).cloned().collect();
        let names: BTreeSet<String> = told.keys().cloned().collect();
        if exact {
            self.environment = told;
        } else {
            self.environment.extend(told);
        }
        Ok(Taken {
            changes: self.apply().await?,
            stay,
            overridden: self.overridden(&names),
        })
    }

    /// Of the variables that a shell told, those whose value does not count: another value is found before it, and not
    /// because that shell says so itself.
    fn overridden(&self, told: &BTreeSet<String>) -> Vec<Overridden> {
        let firsts = self.places.iter().filter_map(|(_, names)| {
            let first = self.first(names)?;
            Some((names, first))
        });
        let of_provider = firsts.flat_map(|(names, first)| {
            let own_order = !first.in_file && told.contains(first.variable);
            let hidden = names.iter().filter(move |name| {
                let value = self.environment.get(*name);
                told.contains(*name) && !own_order && value.is_some_and(|it| !same(it, first.value))
            });
            hidden.map(move |name| Overridden {
                variable: name.clone(),
                by: first.variable.to_owned(),
                in_env_file: first.in_file,
            })
        });
        of_provider.collect()
    }

    /// Says, once, which of these variables and of the file's look as if they held a provider's key, and name no provider.
    fn warn_of_strangers(&mut self, set: &[String]) {
        let of_file = self.file.iter().flat_map(|file| file.values().keys());
        let names = set.iter().chain(of_file).map(String::as_str);
        for (name, meant) in local::strangers(&self.control, names) {
            if !self.strangers.insert(name.to_owned()) {
                continue;
            }
            let meant = meant.map(|meant| format!("; did you mean {meant}?"));
            let meant = meant.unwrap_or_default();
            tracing::warn!("{name} is of no use: it names no provider that takes a key{meant}");
        }
    }

    /// Looks whether the file changed, and tries again what could not be stored.
    pub(super) async fn look(&mut self) {
        let looked = self.file.as_mut().and_then(EnvFile::look);
        let due = self.again_at.is_some_and(|at| at <= Instant::now());
        if let Some(read) = looked {
            self.after_reading(read).await;
        } else if due {
            self.after_reading(Ok(())).await;
        }
    }

    /// Reads the file, and the parent's environment as far as it shows something new.
    pub(super) async fn hang_up(&mut self) {
        self.look_at_parent();
        let read = self.file.as_mut().map_or(Ok(()), EnvFile::read);
        self.after_reading(read).await;
    }

    /// What the system shows of a process is the environment that it was started with. So it says something only where
    /// the same parent has another one than before: it became another program. Its old one may be older than ours.
    fn look_at_parent(&mut self) {
        let Some(now) = config::parent(self.names()) else {
            return;
        };
        let Some(before) = self.parent.replace(now) else {
            return;
        };
        let Some(now) = self
            .parent
            .as_ref()
            .filter(|now| now.process == before.process)
        else {
            return;
        };
        let names: Vec<String> = self.names().map(str::to_owned).collect();
        for name in names {
            match (before.variables.get(&name), now.variables.get(&name)) {
                (_, Some(new))
                    if before
                        .variables
                        .get(&name)
                        .is_none_or(|old| !same(old, new)) =>
                {
                    self.environment.insert(name, copy(new));
                }
                (Some(_), None) => {
                    self.environment.remove(&name);
                }
                _ => {}
            }
        }
    }

    async fn after_reading(&mut self, read: anyhow::Result<()>) {
        if let Err(error) = read {
            tracing::error!("{error:#}; the keys stay as they were");
        }
        self.warn_of_strangers(&[]);
        match self.apply().await {
            Ok(changes) => log(&changes),
            Err(error) => tracing::error!("{error:#}; it is tried again"),
        }
    }

    /// Makes the stored keys those that are found.
    async fn apply(&mut self) -> anyhow::Result<Vec<Change>> {
        let found: Vec<Found> = self
            .places
            .iter()
            .filter_map(|(provider, names)| {
                let first = self.first(names)?;
                Some(Found {
                    provider: provider.clone(),
                    variable: first.variable.to_owned(),
                    key: copy(first.value),
                })
            })
            .collect();
        let changes = local::sync(&self.control, &self.owner, &found, &mut self.kept).await;
        let deferred = |it: &Change| matches!(it.what, What::Deferred(_));
        let whole = changes.as_ref().is_ok_and(|it| !it.iter().any(deferred));
        if let Ok(changes) = &changes {
            self.untaken = untaken(changes);
        }
        self.again_at = (!whole).then(|| Instant::now() + AGAIN);
        // Also after a failure: some may have been stored.
        let text = serde_json::to_vec(&self.kept).context("the list of keys is plain data")?;
        files::write(&self.kept_file, &text)?;
        changes.map_err(|problem| refused("store the keys of the environment", &problem))
    }

    /// What these variables of a shell are here.
    pub(super) fn compare(&self, told: &Variables) -> Vec<OneCompared> {
        let names = self.places.iter().flat_map(|(_, names)| {
            let first = self.first(names);
            names.iter().map(move |name| (name, first))
        });
        let compared = names.filter_map(|(name, first)| {
            let value = told.get(name)?;
            let (verdict, why) = match first {
                None => (Verdict::NotTold, None),
                Some(first) if same(value, first.value) => match self.untaken.get(first.variable) {
                    Some((verdict, why)) => (*verdict, Some(why.clone())),
                    None => (Verdict::InUse, None),
                },
                Some(first) if first.variable == name => (Verdict::OtherValue, None),
                Some(_) => (Verdict::WithoutEffect, None),
            };
            Some(OneCompared {
                variable: name.clone(),
                verdict,
                why,
            })
        });
        compared.collect()
    }

    /// The first of these variables that is set.
    fn first<'a>(&'a self, names: &'a [String]) -> Option<First<'a>> {
        names.iter().find_map(|name| {
            let of_file = self.file.as_ref().and_then(|file| file.values().get(name));
            let value = of_file.or_else(|| self.environment.get(name))?;
            Some(First {
                variable: name,
                value,
                in_file: of_file.is_some(),
            })
        })
    }
}

/// What an earlier start left. A file that cannot be read costs a new version of each key, nothing else: the keys are
/// found again by their labels.
fn read(path: &Path) -> anyhow::Result<Vec<Kept>> {
    let bytes = files::read(path)?.unwrap_or_default();
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

fn untaken(changes: &[Change]) -> BTreeMap<String, (Verdict, String)> {
    let untaken = changes.iter().filter_map(|change| {
        let (verdict, why) = match &change.what {
            What::Refused(why) => (Verdict::Refused, why),
            What::Deferred(why) => (Verdict::Deferred, why),
            _ => return None,
        };
        Some((change.variable.clone(), (verdict, why.clone())))
    });
    untaken.collect()
}

fn log(changes: &[Change]) {
    let said = changes.iter().filter(|change| change.what != What::Same);
    for change in said {
        let (provider, variable) = (&change.provider, &change.variable);
        match &change.what {
            What::Refused(why) | What::Deferred(why) => {
                let what = change.what.as_str();
                tracing::warn!("the key for {provider} in {variable} is {what}: {why}");
            }
            what => tracing::info!("the key for {provider} in {variable} was {}", what.as_str()),
        }
    }
}

fn copy(secret: &Secret) -> Secret {
    secret.expose(|bytes| Secret::new(bytes.to_vec()))
}

fn same(one: &Secret, other: &Secret) -> bool {
    one.expose(|one| other.expose(|other| one == other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_off_is_not_refused() {
        let change = |variable: &str, what: What| Change {
            provider: "openai".parse().expect("fits"),
            variable: variable.to_owned(),
            what,
        };
        let found = untaken(&[
            change("A", What::Refused("too short".to_owned())),
            change("B", What::Deferred("no answer".to_owned())),
            change("C", What::Same),
        ]);
        let refused = (Verdict::Refused, "too short".to_owned());
        let deferred = (Verdict::Deferred, "no answer".to_owned());
        let expected = [("A".to_owned(), refused), ("B".to_owned(), deferred)];
        assert_eq!(found, BTreeMap::from(expected));
    }
}
