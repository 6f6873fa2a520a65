//! The same for Gemini's requests.
//!
//! Source: <https://ai.google.dev/api/generate-content>, <https://ai.google.dev/gemini-api/docs/pricing>.

use super::{Json, UNKNOWN};

/// Fields of a request that cost nothing of their own, whatever they hold.
const FREE: &[&str] = &[
    "model",
    "outputDimensionality",
    "safetySettings",
    "store",
    "taskType",
    "title",
    "toolConfig",
];
/// The same, of how the answer is made.
const FREE_CONFIG: &[&str] = &[
    "enableEnhancedCivicAnswers",
    "frequencyPenalty",
    "logprobs",
    "mediaResolution",
    "presencePenalty",
    "responseFormat",
    "responseJsonSchema",
    "responseLogprobs",
    "responseMimeType",
    "responseSchema",
    "seed",
    "stopSequences",
    "temperature",
    "thinkingConfig",
    "topK",
    "topP",
];
/// Tiers of service that cost no more than the list price.
const TIERS: [&str; 2] = ["standard", "flex"];
/// Tools that run at the client.
const CLIENT_TOOLS: [&str; 2] = ["functionDeclarations", "computerUse"];
/// Parts, and the one field of each whose content is the client's own and means nothing to the provider. Anywhere else
/// a field of that name is one that nobody knows.
const DATA: [(&str, &str); 2] = [("functionCall", "args"), ("functionResponse", "response")];

/// As [`super::find`], for Gemini's formats.
pub fn find_gemini(body: &[u8]) -> Option<&'static str> {
    match serde_json::from_slice(body) {
        Ok(request @ Json::Map(_)) => in_request(&request),
        _ => Some(UNKNOWN),
    }
}

fn in_request(request: &Json) -> Option<&'static str> {
    let Json::Map(fields) = request else {
        return Some(UNKNOWN);
    };
    fields
        .iter()
        // What is not there costs nothing, under any name.
        .filter(|(_, value)| !matches!(value, Json::Null))
        .find_map(|(name, value)| offence(&camel(name), value))
}

fn offence(name: &str, value: &Json) -> Option<&'static str> {
    match name {
        "contents" | "content" | "systemInstruction" if refers(value) => Some("fileData"),
        "contents" | "systemInstruction" => dearer(value, true).then_some("inlineData"),
        // What is embedded has one price if it is text.
        "content" => dearer(value, false).then_some("inlineData"),
        "generationConfig" => match value {
            Json::Map(fields) => fields.iter().find_map(|(name, value)| config(name, value)),
            _ => Some("generationConfig"),
        },
        "requests" => match value {
            Json::List(requests) => requests.iter().find_map(in_request),
            _ => Some(UNKNOWN),
        },
        "generateContentRequest" => in_request(value),
        "tools" => match value {
            Json::List(tools) if tools.iter().all(runs_at_client) => None,
            _ => Some("tools"),
        },
        "serviceTier" => {
            let known = TIERS.iter().any(|tier| value.is(tier));
            (!known).then_some("serviceTier")
        }
        // It is stored for a price by the hour, and was perhaps said by another tenant.
        "cachedContent" => Some("cachedContent"),
        _ if FREE.contains(&name) => None,
        _ => Some(UNKNOWN),
    }
}

fn config(name: &str, value: &Json) -> Option<&'static str> {
    match camel(name).as_str() {
        _ if matches!(value, Json::Null) => None,
        // Pictures and speech have prices of their own.
        "responseModalities" => match value {
            Json::List(kinds) if kinds.iter().all(|kind| kind.is("TEXT")) => None,
            _ => Some("responseModalities"),
        },
        // What is held for a call is counted by them, so what stands there must count.
        "candidateCount" => (!value.counts()).then_some("candidateCount"),
        "maxOutputTokens" => (!value.counts()).then_some("maxOutputTokens"),
        name if FREE_CONFIG.contains(&name) => None,
        _ => Some("generationConfig"),
    }
}

fn runs_at_client(tool: &Json) -> bool {
    match tool {
        Json::Map(fields) => fields.iter().all(|(name, value)| {
            matches!(value, Json::Null) || CLIENT_TOOLS.contains(&camel(name).as_str())
        }),
        _ => false,
    }
}

/// Whether a part of it is a file that the provider keeps for the key, perhaps another tenant's, or fetches.
fn refers(content: &Json) -> bool {
    holds(content, None, &|name, value| {
        name == "fileData" && !matches!(value, Json::Null)
    })
}

/// Whether something in it costs more than the price of input says: sound and films, and for embeddings pictures, too.
fn dearer(content: &Json, pictures: bool) -> bool {
    holds(content, None, &|name, value| {
        let spared = matches!(value, Json::Null) || pictures && is_picture(value);
        name == "inlineData" && !spared
    })
}

/// Whether `offends` of a field anywhere in it, but for the client's own data. `data`: the name of the field that is such
/// data here.
fn holds(content: &Json, data: Option<&str>, offends: &impl Fn(&str, &Json) -> bool) -> bool {
    match content {
        Json::Map(fields) => fields.iter().any(|(name, value)| {
            let name = camel(name);
            let part = DATA.iter().find(|(part, _)| *part == name);
            let data_within = part.map(|(_, data)| *data);
            let skipped = data == Some(name.as_str());
            !skipped && (offends(&name, value) || holds(value, data_within, offends))
        }),
        Json::List(values) => values.iter().any(|value| holds(value, None, offends)),
        Json::Null | Json::Text(_) | Json::Number(_) | Json::Other => false,
    }
}

/// Whether it says once, and of nothing else, that it is a picture, a text or a PDF.
fn is_picture(data: &Json) -> bool {
    let Json::Map(fields) = data else {
        return false;
    };
    let mut kinds = fields.iter().filter(|(name, _)| camel(name) == "mimeType");
    match (kinds.next(), kinds.next()) {
        (Some((_, Json::Text(kind))), None) => {
            kind == "application/pdf" || kind.starts_with("image/") || kind.starts_with("text/")
        }
        _ => false,
    }
}

/// The name in camel case; every field has one in snake case as well.
pub(crate) fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut raise = false;
    for letter in name.chars() {
        if letter == '_' {
            raise = true;
        } else if std::mem::take(&mut raise) {
            camel.push(letter.to_ascii_uppercase());
        } else {
            camel.push(letter);
        }
    }
    camel
}

#[cfg(test)]
mod tests;
