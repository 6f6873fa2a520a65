//! Where a rule leads: the path of a call, the place below which it is called, the header for the key.

use std::borrow::Cow;

use super::FormatRule;
use crate::format::Operation;

/// Another way to present a key at the same place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPlace {
    /// The header that carries the key, in lower case.
    pub header: String,
    /// The word before the key, without the blank. `None`: the key stands alone.
    pub scheme: Option<String>,
}

/// Where a path names the model and what is to be done with it.
pub const MODEL_PLACE: &str = "{model}:{action}";

impl FormatRule {
    /// The path of a call, `operation` being `None` for the format's main one, with the model percent-encoded where the
    /// path names it. `None`: the operation has no path; the path names a model and
    /// the format does not, or the other way round; or somebody who decodes or shortens the path could read another
    /// model in it, at another price.
    pub fn call_path(
        &self,
        operation: Option<Operation>,
        model: &str,
        action: Option<&str>,
    ) -> Option<Cow<'_, str>> {
        let path = match operation {
            None => &self.path,
            Some(operation) => self.operations.get(&operation)?,
        };
        match (path.strip_suffix(MODEL_PLACE), action) {
            (None, None) => Some(Cow::Borrowed(path)),
            (Some(before), Some(action)) if !is_ambiguous(model) => {
                let model = percent_encoded(model);
                Some(Cow::Owned(format!("{before}{model}:{action}")))
            }
            _ => None,
        }
    }

    /// The place below which the format is spoken for a key that is bound to `base_url`: the same origin, and the path
    /// without what this rule leaves off. `None`: the path does not end so.
    pub fn base<'a>(&self, base_url: &'a str) -> Option<&'a str> {
        let Some(strip) = &self.strip else {
            return Some(base_url);
        };
        // Only the path is shortened, never the host.
        let host = base_url.find("://")? + "://".len();
        let path = host + base_url[host..].find('/')?;
        let rest = base_url[path..].strip_suffix(strip.as_str())?;
        Some(&base_url[..path + rest.len()])
    }
}

/// Whether it is read otherwise by who undoes an encoding twice, or takes a dotted segment for a way up.
fn is_ambiguous(model: &str) -> bool {
    let mut segments = model.split(['/', '\\']);
    model.contains('%') || segments.any(|it| it == "." || it == "..")
}

/// Every byte but letters, digits and `-._~` as `%XX`.
pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
