//! Weighs the input of a request by its text, where that can be told from everything around it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::text::Shape;

/// How many bytes of text a request has where `shape` says; the length of the body if there are none, for what it has
/// in their place, tokens for one, is input too.
///
/// What a request costs must not depend on how it is spelled. So the length of the body counts as well if anything
/// stands in it that a provider may read as input and `shape` does not know: a name beside those of the shape (in
/// another case, say) with anything but a number or a flag, or a value of another form. A name that comes twice counts
/// twice, since any of the two may be read; escapes in names are resolved.
pub(crate) fn input_bytes(shape: &'static Shape, body: &[u8]) -> u64 {
    let mut bytes = 0;
    let weigher = Weigher {
        shape,
        bytes: &mut bytes,
    };
    let mut document = serde_json::Deserializer::from_slice(body);
    let understood = weigher.deserialize(&mut document);
    match understood.and_then(|()| document.end()) {
        Ok(()) if bytes > 0 => bytes,
        _ => body.len() as u64,
    }
}

/// Adds the bytes of the texts in a value. Its error: something is not understood.
struct Weigher<'a> {
    shape: &'static Shape,
    bytes: &'a mut u64,
}

impl<'de> DeserializeSeed<'de> for Weigher<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.shape.counts_nothing() {
            return deserializer.deserialize_ignored_any(IgnoredAny).map(|_| ());
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Weigher<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("text, or what is known to have some")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if self.shape.text.is_none() && !text.is_empty() {
            return Err(E::custom("a text in another place"));
        }
        *self.bytes += text.len() as u64;
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Self { shape, bytes } = self;
        while elements
            .next_element_seed(Weigher { shape, bytes })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { shape, bytes } = self;
        while let Some(name) = members.next_key::<String>()? {
            let known = shape.fields.iter().find(|(known, _)| *known == name);
            match known {
                Some((_, shape)) => members.next_value_seed(Weigher { shape, bytes })?,
                None => members.next_value::<Aside>().map(|Aside| ())?,
            }
        }
        Ok(())
    }
}

/// A value in which there is no room for input: a number, a flag, or nothing.
struct Aside;

impl<'de> serde::Deserialize<'de> for Aside {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Aside {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number, a flag, or nothing")
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self, E> {
        match text {
            "" => Ok(self),
            _ => Err(E::custom("a text under a name that is not known")),
        }
    }
}
