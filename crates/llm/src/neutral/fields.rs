//! Reads JSON objects field by field, so that what nobody took is known.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;

use super::{NotTranslatable, Warnings};
use crate::json::split;
use crate::surcharge::camel;

/// The fields of an object that nobody has taken yet. `null` counts as absent; of several fields of one name the last
/// counts.
pub(crate) struct Fields<'a> {
    /// The top-level field in which it stands, for errors.
    place: &'static str,
    entries: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// More tokens than any call uses, as in reports of usage.
const MAX_AMOUNT: u64 = 1_000_000_000_000;

type Read<T> = Result<T, NotTranslatable>;

impl<'a> Fields<'a> {
    /// The fields of `raw`, which stands in the top-level field `place`.
    pub(crate) fn of(raw: &'a RawValue, place: &'static str) -> Read<Self> {
        let entries = split::fields(raw)
            .ok_or_else(|| NotTranslatable::new(place, "it must be made of JSON objects"))?;
        Ok(Self { place, entries })
    }

    /// The same with every name in camel case, for formats where each field has a name in snake case as well.
    pub(crate) fn in_camel_case(mut self) -> Self {
        for (name, _) in &mut self.entries {
            if name.contains('_') {
                *name = Cow::Owned(camel(name));
            }
        }
        self
    }

    /// What nobody has taken yet, in its order.
    pub(crate) fn rest(self) -> Vec<(Cow<'a, str>, &'a RawValue)> {
        self.entries
    }

    /// Whether there is a field of this name that nobody has taken yet.
    pub(crate) fn has(&self, name: &str) -> bool {
        let mut entries = self.entries.iter().rev();
        let last = entries.find(|(it, _)| it == name);
        last.is_some_and(|(_, value)| value.get() != "null")
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.entries.iter().rposition(|(it, _)| it == name)?;
        let value = self.entries.remove(at).1;
        self.entries.retain(|(it, _)| it != name);
        (value.get() != "null").then_some(value)
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Read<Option<String>> {
        self.read(name, "it must be a text", text)
    }

    pub(crate) fn needed_text(&mut self, name: &'static str) -> Read<String> {
        let text = self.text(name)?;
        text.ok_or_else(|| self.wrong(name, "it is missing"))
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> Read<Option<bool>> {
        self.parse(name, "it must be true or false")
    }

    pub(crate) fn whole(&mut self, name: &'static str) -> Read<Option<u64>> {
        self.parse(name, "it must be a whole number")
    }

    /// How much is wanted of something: no more than anybody makes, which providers read in different ways.
    pub(crate) fn amount(&mut self, name: &'static str) -> Read<Option<u64>> {
        match self.whole(name)? {
            Some(amount) if amount > MAX_AMOUNT => {
                Err(self.wrong(name, "it must be at most 1000000000000"))
            }
            amount => Ok(amount),
        }
    }

    pub(crate) fn number(&mut self, name: &'static str) -> Read<Option<Number>> {
        self.parse(name, "it must be a number")
    }

    pub(crate) fn list(&mut self, name: &'static str) -> Read<Option<Vec<&'a RawValue>>> {
        self.read(name, "it must be a list", list)
    }

    pub(crate) fn object(&mut self, name: &'static str) -> Read<Option<Fields<'a>>> {
        let place = self.at(name);
        self.take(name)
            .map(|raw| Fields::of(raw, place))
            .transpose()
    }

    /// What the object says that it is; empty if it does not.
    pub(crate) fn kind(&mut self) -> Read<String> {
        Ok(self.text("type")?.unwrap_or_default())
    }

    /// Leaves out what was not taken, and names it.
    pub(crate) fn leave(self, warnings: &mut Warnings) {
        for (name, value) in self.entries {
            if value.get() != "null" {
                warnings.dropped(&name);
            }
        }
    }

    /// As [`leave`](Self::leave), of an answer: nothing is said of a field that is empty, and of one that is `usual`, which
    /// no client misses.
    pub(crate) fn leave_said(self, usual: fn(&str, &RawValue) -> bool, warnings: &mut Warnings) {
        for (name, value) in self.entries {
            if !is_empty(value) && !usual(&name, value) {
                warnings.dropped(&name);
            }
        }
    }

    /// An error about a field of this object.
    pub(crate) fn wrong(&self, name: &'static str, why: &'static str) -> NotTranslatable {
        match self.place {
            "" => NotTranslatable::new(name, why),
            place => NotTranslatable::within(place, name, why),
        }
    }

    fn at(&self, name: &'static str) -> &'static str {
        if self.place.is_empty() {
            name
        } else {
            self.place
        }
    }

    fn parse<T: Deserialize<'a>>(
        &mut self,
        name: &'static str,
        why: &'static str,
    ) -> Read<Option<T>> {
        self.read(name, why, |raw| serde_json::from_str(raw.get()).ok())
    }

    fn read<T>(
        &mut self,
        name: &'static str,
        why: &'static str,
        read: impl FnOnce(&'a RawValue) -> Option<T>,
    ) -> Read<Option<T>> {
        self.take(name)
            .map(|raw| read(raw).ok_or_else(|| self.wrong(name, why)))
            .transpose()
    }
}

/// Whether nothing is lost with a value of an answer that is left out.
fn is_empty(value: &RawValue) -> bool {
    matches!(value.get(), "null" | "false" | "\"\"" | "[]" | "{}")
}

/// The text that `raw` is, if it is one.
pub(crate) fn text(raw: &RawValue) -> Option<String> {
    split::text(raw.get()).map(Cow::into_owned)
}

/// The items of `raw`, if it is a list.
pub(crate) fn list(raw: &RawValue) -> Option<Vec<&RawValue>> {
    split::items(raw)
}

/// What `raw` lists, which is an answer's field of this name. What is no list is named in the warnings.
pub(crate) fn listed<'a>(
    raw: &'a RawValue,
    name: &str,
    warnings: &mut Warnings,
) -> Vec<&'a RawValue> {
    list(raw).unwrap_or_else(|| {
        if !is_empty(raw) {
            warnings.dropped(name);
        }
        Vec::new()
    })
}

/// Those of an answer's `choices` that were asked for, in the order of their numbers: no more than `answers`. Others are not read,
/// for nothing in them may break an answer, and are named in the warnings.
pub(crate) fn asked_for<'a>(
    mut choices: Vec<&'a RawValue>,
    answers: u64,
    warnings: &mut Warnings,
) -> Vec<&'a RawValue> {
    if choices.len() > 1 {
        let number = |raw| Fields::of(raw, "").ok()?.whole("index").ok()?;
        let numbered = choices.into_iter().zip(0_u64..);
        let mut numbered: Vec<(u64, &RawValue)> = numbered
            .map(|(raw, place)| (number(raw).unwrap_or(place), raw))
            .collect();
        numbered.sort_by_key(|(number, _)| *number);
        choices = numbered.into_iter().map(|(_, raw)| raw).collect();
    }
    if choices.len() as u64 > answers {
        warnings.dropped("choices");
        choices.truncate(usize::try_from(answers).unwrap_or(usize::MAX));
    }
    choices
}

/// A whole body as JSON.
pub(crate) fn whole(body: &[u8]) -> Read<&RawValue> {
    split::whole(body).ok_or_else(|| NotTranslatable::new("body", "it is not JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_took_is_named_and_null_is_nothing() {
        let raw: &RawValue =
            serde_json::from_str(r#"{"a":1,"logprobs":true,"seed":null,"a":2,"x":[]}"#)
                .expect("JSON");
        let mut fields = Fields::of(raw, "").expect("an object");
        assert_eq!(fields.whole("a").expect("whole"), Some(2));
        assert_eq!(fields.whole("a").expect("whole"), None);
        let mut warnings = Warnings::default();
        fields.leave(&mut warnings);
        assert_eq!(warnings.to_string(), "dropped:logprobs,dropped:unlisted");
    }

    #[test]
    fn a_wrong_field_is_named_by_its_place() {
        let raw: &RawValue = serde_json::from_str(r#"{"tool_call_id":7}"#).expect("JSON");
        let mut fields = Fields::of(raw, "messages").expect("an object");
        let error = fields.text("tool_call_id").expect_err("a number");
        assert_eq!(error.path(), "messages.tool_call_id");
    }
}
