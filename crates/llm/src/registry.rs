//! All providers of an instance, and which of them know a model.

use std::collections::BTreeMap;

use domain::ProviderId;
use domain::resolve::Candidate;

use crate::provider::{FileError, ModelFact, Provider};

mod bundled;

/// The providers, by id.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    providers: BTreeMap<ProviderId, Provider>,
}

/// Why a registry cannot be built. The instance must not start with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// A file breaks a rule.
    #[error(transparent)]
    File(#[from] FileError),
    /// Two files of one set name the same provider.
    #[error("provider files {first} and {second} both describe `{id}`")]
    Repeated {
        /// The provider.
        id: ProviderId,
        /// The earlier file.
        first: String,
        /// The later file.
        second: String,
    },
}

impl Registry {
    /// The providers that come with the program.
    ///
    /// # Errors
    /// [`RegistryError`]; a test keeps the bundled files free of it.
    pub fn bundled() -> Result<Self, RegistryError> {
        let files: Vec<_> = bundled::FILES
            .iter()
            .map(|(name, toml)| ((*name).to_owned(), (*toml).to_owned()))
            .collect();
        Self::default().with_files(&files)
    }

    /// Adds an operator's own files, each a name for error messages and its TOML text. A file whose `id`
    /// is in the registry already replaces that provider whole.
    ///
    /// # Errors
    /// [`RegistryError`] with the file, line and field of the first offence; nothing is added then.
    pub fn with_files(mut self, files: &[(String, String)]) -> Result<Self, RegistryError> {
        let mut seen: BTreeMap<ProviderId, &str> = BTreeMap::new();
        for (name, toml) in files {
            let provider = Provider::parse(name, toml)?;
            if let Some(first) = seen.insert(provider.id.clone(), name) {
                return Err(RegistryError::Repeated {
                    id: provider.id,
                    first: first.to_owned(),
                    second: name.clone(),
                });
            }
            self.providers.insert(provider.id.clone(), provider);
        }
        Ok(self)
    }

    /// All providers, whatever their status, by id.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.providers.values()
    }

    /// The provider with this id, whatever its status.
    pub fn get(&self, id: &ProviderId) -> Option<&Provider> {
        self.providers.get(id)
    }

    /// The provider that `text` may have meant, for a hint; never to be used in its place.
    pub fn suggest(&self, text: &str) -> Option<&ProviderId> {
        let wanted = letters(text);
        if wanted.is_empty() || wanted.len() > 64 {
            return None;
        }
        let exact = self.providers.values().find(|provider| {
            let stems = provider
                .native_patterns
                .iter()
                .map(|it| letters(it.as_str()));
            letters(provider.id.as_str()) == wanted
                || letters(&provider.name) == wanted
                || stems.into_iter().any(|stem| stem == wanted)
        });
        if let Some(provider) = exact {
            return Some(&provider.id);
        }
        // One slip for four letters, so that short names are not turned into each other.
        let allowed = wanted.len() / 4;
        self.providers
            .keys()
            .map(|id| (distance(&letters(id.as_str()), &wanted), id))
            .filter(|(slips, _)| *slips <= allowed)
            .min()
            .map(|(_, id)| id)
    }

    /// The providers that know `model`, best first.
    ///
    /// `provider/name` pins an active provider and asks it for `name`, whether listed or not. After that
    /// come the providers to whom the whole text is native: those that list it before those that only
    /// claim it by a pattern, and in each of the two groups those that make models before those that
    /// serve or pass on others'. Empty: nobody knows it.
    pub fn candidates(&self, model: &str) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        if let Some((first, rest)) = model.split_once('/')
            && !rest.is_empty()
            && let Ok(id) = first.parse::<ProviderId>()
            && self.get(&id).is_some_and(Provider::serves_models)
        {
            candidates.push(Candidate {
                provider: id,
                model: rest.to_owned(),
            });
        }
        let mut native: Vec<_> = self
            .providers
            .values()
            .filter(|provider| provider.serves_models())
            .filter_map(|provider| {
                let rank = (!provider.lists(model), provider.kind, &provider.id);
                provider.knows(model).then_some(rank)
            })
            .collect();
        native.sort_unstable();
        candidates.extend(native.into_iter().map(|(_, _, id)| Candidate {
            provider: id.clone(),
            model: model.to_owned(),
        }));
        candidates
    }

    /// Whether a provider's file lists a model that a caller names so, pinned or not. A pattern alone says nothing.
    pub fn lists(&self, model: &str) -> bool {
        let pinned = model.split_once('/').and_then(|(first, rest)| {
            let id = first.parse::<ProviderId>().ok()?;
            self.get(&id).map(|provider| (provider, rest))
        });
        let serves = |provider: &Provider| provider.serves_models();
        pinned.is_some_and(|(provider, rest)| serves(provider) && provider.lists(rest))
            || self
                .providers
                .values()
                .any(|provider| serves(provider) && provider.lists(model))
    }

    /// The most model tokens of one answer of the model that `provider` knows as `model`. What a gateway's own file
    /// does not say is looked up at the provider that it has the model from. `None`: nobody knows.
    pub fn max_output_tokens(&self, provider: &ProviderId, model: &str) -> Option<u64> {
        self.most(provider, model, |fact| fact.max_output_tokens)
    }

    /// The most model tokens of input and output together, as [`Registry::max_output_tokens`].
    pub fn context_tokens(&self, provider: &ProviderId, model: &str) -> Option<u64> {
        self.most(provider, model, |fact| fact.context_tokens)
    }

    /// A limit of a model, from its provider's file or, at a gateway, from its maker's.
    fn most(
        &self,
        provider: &ProviderId,
        model: &str,
        limit: fn(&ModelFact) -> Option<u64>,
    ) -> Option<u64> {
        let provider = self.get(provider)?;
        let own = provider.models.iter().find(|fact| fact.id == model);
        own.and_then(limit).or_else(|| {
            let makers = provider.slugs.keys().filter_map(|id| self.get(id));
            let known = makers.flat_map(|maker| maker.models.iter().map(move |fact| (maker, fact)));
            let named = known.filter(|(maker, fact)| {
                provider.name_for(&maker.id, &fact.id).as_deref() == Some(model)
            });
            named.filter_map(|(_, fact)| limit(fact)).max()
        })
    }

    /// The names that `gateway` has for the models of `candidates`, in their order, each once and without
    /// those that are candidates already. Nothing for providers that it has no slug or name for, and nothing at all
    /// if it does not serve.
    pub fn through_gateway(
        &self,
        gateway: &ProviderId,
        candidates: &[Candidate],
    ) -> Vec<Candidate> {
        let mut through: Vec<Candidate> = Vec::new();
        let Some(gateway) = self.get(gateway).filter(|it| it.serves_models()) else {
            return through;
        };
        for candidate in candidates {
            let Some(model) = gateway.name_for(&candidate.provider, &candidate.model) else {
                continue;
            };
            let named = Candidate {
                provider: gateway.id.clone(),
                model,
            };
            if !candidates.contains(&named) && !through.contains(&named) {
                through.push(named);
            }
        }
        through
    }
}

/// Letters and digits of `text` in lower case: what is left of a name when spelling is forgiven.
fn letters(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// How many letters must be added, dropped, changed or swapped with their neighbor to get from one text
/// to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests;
