//! How much room what people write down may take: the gateway keeps it in memory, for many callers at once.

use domain::price::{MAX_BRACKETS, PriceOverride};
use serde::Serialize;
use serde_json::Value;

/// What is said of a price with too many brackets.
pub(crate) const BRACKETS: &str = "a price must have at most 16 brackets";

/// Whether no price has too many brackets.
pub(crate) fn brackets_fit(prices: &[PriceOverride]) -> bool {
    prices
        .iter()
        .all(|price| price.price.brackets().len() <= MAX_BRACKETS)
}

/// The field that takes the most room, if the whole takes more than so many bytes as JSON.
pub(crate) fn too_large(document: &impl Serialize, most_bytes: usize) -> Option<String> {
    let Value::Object(fields) = serde_json::to_value(document).expect("plain data") else {
        return None;
    };
    let bytes = |value: &Value| value.to_string().len();
    // The names and what stands between them.
    let frame = |name: &String| name.len() + "\"\":,".len();
    let whole: usize = fields
        .iter()
        .map(|(name, value)| frame(name) + bytes(value))
        .sum();
    if whole < most_bytes {
        return None;
    }
    let largest = fields.iter().max_by_key(|(_, value)| bytes(value));
    largest.map(|(name, _)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_field_that_takes_the_most_room_is_named() {
        let document = json!({"short": "x", "long": "xxxxxxxxxx", "number": 1});
        let bytes = document.to_string().len();
        assert_eq!(too_large(&document, bytes), None);
        assert_eq!(too_large(&document, bytes - 1).as_deref(), Some("long"));
    }
}
