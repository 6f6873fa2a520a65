//! What a step asks of a model, and what is taken of the answer.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::policy::KeySource;
use domain::run::Pinned;
use domain::settings::ImageModel;
use serde::Deserialize;
use serde_json::json;

use crate::models::{CallFailure, Remedy};

/// The longest answer with a script, and the longest script.
pub(super) const MAX_SCRIPT_ANSWER_BYTES: usize = 4 * 1024 * 1024;
const MAX_SCRIPT_BYTES: usize = 1024 * 1024;
/// The largest picture.
const MAX_IMAGE_BYTES: usize = 8 * 1024 * 1024;
/// The longest answer with a picture: it is written in base64.
pub(super) const MAX_IMAGE_ANSWER_BYTES: usize = MAX_IMAGE_BYTES / 3 * 4 + 64 * 1024;
/// How much of a script a picture is made by.
const SCRIPT_EXCERPT_CHARS: usize = 2_000;

/// What the model of the script is told before the prompt.
const ROLE: &str = "Write the document that the user asks for. Answer with the document alone, in Markdown: begin with \
     a heading of the first level, and use no HTML and no pictures.";

/// The request for a script.
pub(super) fn script_request(pinned: &Pinned, prompt: &str) -> Bytes {
    let body = json!({
        "model": format!("{}/{}", pinned.provider, pinned.model),
        "messages": [
            {"role": "system", "content": ROLE},
            {"role": "user", "content": prompt},
        ],
    });
    body.to_string().into()
}

/// The script in an answer.
pub(super) fn script(answer: &[u8]) -> Result<Vec<u8>, CallFailure> {
    #[derive(Deserialize)]
    struct Answer {
        choices: Vec<Choice>,
    }
    #[derive(Deserialize)]
    struct Choice {
        message: Message,
    }
    #[derive(Deserialize)]
    struct Message {
        content: Option<String>,
    }
    let answer: Result<Answer, _> = serde_json::from_slice(answer);
    let choice = answer.ok().and_then(|it| it.choices.into_iter().next());
    let text = choice.and_then(|it| it.message.content);
    let text = text.unwrap_or_default();
    let text = text.trim();
    if text.is_empty() {
        return Err(unusable(
            "script_missing",
            "the model answered without a text",
            "try the run again, or make one with another model",
        ));
    }
    if text.len() > MAX_SCRIPT_BYTES {
        return Err(unusable(
            "script_too_large",
            "the script is larger than 1 MiB",
            "make a run that asks for a shorter text",
        ));
    }
    Ok(text.as_bytes().to_vec())
}

/// What serves a picture: a model of the instance, paid by credits.
pub(super) fn pinned(model: &ImageModel) -> Pinned {
    Pinned {
        requested: model.model.to_string(),
        tier: None,
        provider: model.provider.clone(),
        model: model.model.to_string(),
        source: KeySource::Managed,
        key: None,
        label: None,
        owner: None,
    }
}

/// The request for picture `number` of `count`, for a prompt and the script that was written for it.
pub(super) fn image_request(
    pinned: &Pinned,
    prompt: &str,
    script: Option<&str>,
    (number, count): (usize, usize),
) -> Bytes {
    let mut text = format!("Make a picture, without any lettering, for this brief:\n{prompt}\n");
    if let Some(script) = script {
        let excerpt: String = script.chars().take(SCRIPT_EXCERPT_CHARS).collect();
        text.push_str(&format!("\nIt illustrates this text:\n{excerpt}\n"));
    }
    if count > 1 {
        text.push_str(&format!(
            "\nThis is picture {number} of {count}: make each a scene of its own."
        ));
    }
    let mut body = json!({
        "model": format!("{}/{}", pinned.provider, pinned.model),
        "prompt": text,
        "n": 1,
    });
    // OpenAI's models of this name answer so and refuse the field
    // (https://platform.openai.com/docs/api-reference/images/create, 2026-11-28); all others need it.
    if !pinned.model.contains("gpt-image") {
        body["response_format"] = "b64_json".into();
    }
    body.to_string().into()
}

/// The picture in an answer, with its media type, which its own first bytes tell.
pub(super) fn image(answer: &[u8]) -> Result<(&'static str, Vec<u8>), CallFailure> {
    // Borrowed, so that a picture is not in memory once more.
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(default, borrow)]
        data: Vec<Picture<'a>>,
    }
    #[derive(Deserialize)]
    struct Picture<'a> {
        #[serde(borrow)]
        b64_json: Option<Encoded<'a>>,
    }
    #[derive(Deserialize)]
    struct Encoded<'a>(#[serde(borrow)] Cow<'a, str>);
    let answer: Result<Answer<'_>, _> = serde_json::from_slice(answer);
    let picture = answer.ok().and_then(|it| it.data.into_iter().next());
    let encoded = picture.and_then(|it| it.b64_json);
    let encoded = encoded.ok_or_else(|| {
        unusable(
            "picture_missing",
            "the provider answered without a picture: it may not make one of this",
            "make a run with another prompt",
        )
    })?;
    let bytes = STANDARD.decode(encoded.0.as_bytes());
    let bytes = bytes.unwrap_or_default();
    if bytes.len() > MAX_IMAGE_BYTES {
        return Err(unusable(
            "picture_too_large",
            "the picture is larger than 8 MiB",
            "tell an admin of the instance, who can choose another of image_models",
        ));
    }
    let media_type = match bytes.as_slice() {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => "image/webp",
        _ => {
            return Err(unusable(
                "picture_unreadable",
                "the picture is neither PNG nor JPEG nor WebP",
                "tell an admin of the instance, who can choose another of image_models",
            ));
        }
    };
    Ok((media_type, bytes))
}

fn unusable(code: &str, message: &str, hint: &str) -> CallFailure {
    CallFailure {
        code: code.to_owned(),
        message: message.to_owned(),
        hint: hint.to_owned(),
        remedy: Remedy::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_are_taken_and_their_bytes_say_what_they_are() {
        let answer =
            |bytes: &[u8]| json!({"data": [{"b64_json": STANDARD.encode(bytes)}]}).to_string();
        let png = b"\x89PNG\r\n\x1a\nrest";
        assert_eq!(
            image(answer(png).as_bytes()),
            Ok(("image/png", png.to_vec()))
        );
        let code = |answer: &str| image(answer.as_bytes()).map_err(|failure| failure.code);
        assert_eq!(
            code(&answer(b"<svg onload=alert(1)>")),
            Err("picture_unreadable".to_owned())
        );
        for none in [
            "{}",
            "[]",
            r#"{"data":[]}"#,
            r#"{"data":[{"url":"https://x.test"}]}"#,
        ] {
            assert_eq!(code(none), Err("picture_missing".to_owned()), "{none}");
        }
        let large = vec![0xff; MAX_IMAGE_BYTES + 1];
        assert_eq!(code(&answer(&large)), Err("picture_too_large".to_owned()));
    }

    #[test]
    fn a_script_is_a_text() {
        let said =
            |content: &str| json!({"choices": [{"message": {"content": content}}]}).to_string();
        assert_eq!(script(said(" # A ").as_bytes()), Ok(b"# A".to_vec()));
        for none in ["{}", &said("  "), r#"{"choices":[]}"#] {
            assert!(script(none.as_bytes()).is_err(), "{none}");
        }
    }
}
