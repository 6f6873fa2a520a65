//! From what the request says to the name that providers are looked up by.

use domain::naming::{self, Choices, Named, UNCHOSEN};
use domain::policy::{ModelName, Tier};
use domain::preset::PresetName;
use http::{HeaderMap, HeaderName};
use llm::registry::Registry;

use crate::error::{self, Failure};
use crate::headers::{CONVERSATION_MODEL, NO_MANAGED};
use crate::snapshot::View;

/// What the request's headers say of how it is served.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    /// Whether credits must not pay. It only tightens what the workspace's policy says.
    pub(crate) no_managed: bool,
    /// The model that the conversation has chosen.
    pub(crate) conversation: Option<ModelName>,
}

/// Reads the headers that say how a call is served.
pub(crate) fn wishes(headers: &HeaderMap) -> Result<Wishes, Failure> {
    let no_managed = match one(headers, NO_MANAGED)? {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Failure::InvalidHeader(NO_MANAGED)),
    };
    let conversation = one(headers, CONVERSATION_MODEL)?
        .map(str::parse)
        .transpose()
        .map_err(|_| Failure::InvalidHeader(CONVERSATION_MODEL))?;
    Ok(Wishes {
        no_managed,
        conversation,
    })
}

/// The names that providers are looked up by, for a request that says `requested`, in their order and never none.
pub(crate) fn names(
    registry: &Registry,
    view: &View,
    requested: &str,
    wishes: &Wishes,
) -> Vec<Result<Named, Failure>> {
    let caller = &view.caller.record;
    let choices = choices(view, requested, wishes);
    let settings = &view.instance.record.settings;
    let is_listed = |text: &str| registry.lists(text);
    let names = naming::names(&choices, &caller.policy, settings, &caller.terms, is_listed);
    let names = names.into_iter();
    names
        .map(|named| named.map_err(|refusal| error::from_naming(refusal, view)))
        .collect()
}

/// The preset that a request names that says `requested`, whether anything of it may serve or not.
pub(crate) fn preset_of<'a>(
    registry: &Registry,
    view: &'a View,
    requested: &str,
    wishes: &Wishes,
) -> Option<&'a PresetName> {
    let choices = choices(view, requested, wishes);
    let settings = &view.instance.record.settings;
    let is_listed = |text: &str| registry.lists(text);
    naming::preset_of(&choices, &view.caller.record.policy, settings, is_listed)
}

fn choices<'a>(view: &'a View, requested: &'a str, wishes: &'a Wishes) -> Choices<'a> {
    let api_key = view.caller.record.default_model.as_ref();
    Choices {
        request: Some(requested),
        conversation: wishes.conversation.as_ref().map(ModelName::as_str),
        api_key: api_key.map(ModelName::as_str),
    }
}

/// Whether a request that says `requested` says nothing but names of ours and the model's, which are safe to record.
pub(crate) fn is_safe(requested: &str, named: &Named) -> bool {
    let bare = named.ranking.and_then(|ranking| {
        let name = requested.strip_suffix(ranking.as_str())?;
        name.strip_suffix(':')
    });
    let bare = bare.unwrap_or(requested);
    let is_preset = || bare.strip_prefix('@') == named.preset.as_ref().map(PresetName::as_str);
    bare == named.model || is_word(bare) || is_preset()
}

/// Whether it is one of our own words for a model.
fn is_word(name: &str) -> bool {
    name == UNCHOSEN || name.parse::<Tier>().is_ok()
}

/// The header's only value.
fn one(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Failure> {
    let mut values = headers.get_all(&name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(Failure::InvalidHeader(name)),
        },
        _ => Err(Failure::InvalidHeader(name)),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn no_managed(values: &[&'static str]) -> Option<bool> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(NO_MANAGED, HeaderValue::from_static(value));
        }
        wishes(&headers).ok().map(|wishes| wishes.no_managed)
    }

    #[test]
    fn a_wish_is_said_exactly_once_or_refused() {
        assert_eq!(no_managed(&[]), Some(false));
        assert_eq!(no_managed(&["true"]), Some(true));
        assert_eq!(no_managed(&["false"]), Some(false));
        for bad in [
            &["1"][..],
            &[""],
            &["TRUE"],
            &["yes"],
            &["true", "true"],
            &["true", "false"],
        ] {
            assert_eq!(no_managed(bad), None, "{bad:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONVERSATION_MODEL, HeaderValue::from_static("a b"));
        assert!(wishes(&headers).is_err());
    }
}
