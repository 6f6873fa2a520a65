//! Pages that an answer stands on: Gemini lists them, and which stretches of a part each of them supports, in bytes.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::neutral::{Citation, Fields, Object, Warnings, array, text};

/// What of it OpenAI's annotations can say.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    grounding_chunks: Option<Vec<&'a RawValue>>,
    grounding_supports: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Support<'a> {
    #[serde(borrow)]
    segment: &'a RawValue,
    grounding_chunk_indices: Option<Vec<usize>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Segment {
    part_index: Option<usize>,
    start_index: Option<usize>,
    end_index: usize,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    web: &'a RawValue,
}

#[derive(Deserialize)]
struct Page {
    uri: Option<String>,
    title: Option<String>,
}

/// The most citations of an answer, all its candidates together: each support may name every page.
const MAX_CITATIONS: usize = 4_096;

/// The most that is read and written for them, in bytes: each is looked for in a text, and repeats a page or a stretch of the
/// text. Enough for hundreds of citations in an answer of many pages.
const MAX_WORK_BYTES: usize = 8 * 1024 * 1024;

/// How much may still be read or written of an answer's citations: of all its candidates, for a body may list many.
pub(super) struct Left {
    citations: usize,
    bytes: usize,
}

impl Default for Left {
    fn default() -> Self {
        Self {
            citations: MAX_CITATIONS,
            bytes: MAX_WORK_BYTES,
        }
    }
}

impl Left {
    /// One citation more. `None`: there are too many.
    fn citation(&mut self) -> Option<()> {
        self.citations = self.citations.checked_sub(1)?;
        Some(())
    }

    /// So much more of texts and addresses. `None`: it is too much.
    fn take(&mut self, bytes: usize) -> Option<()> {
        self.bytes = self.bytes.checked_sub(bytes)?;
        Some(())
    }
}

/// The pages that support these parts of a candidate, each once for each stretch. What is not said so is named in the
/// warnings.
pub(super) fn read(
    metadata: &RawValue,
    parts: &[&RawValue],
    left: &mut Left,
    warnings: &mut Warnings,
) -> Vec<Citation> {
    let mut citations = Vec::new();
    if !cite(metadata, parts, left, &mut citations).unwrap_or(false) {
        match citations.is_empty() {
            true => warnings.dropped(super::answer::GROUNDING),
            false => warnings.changed("approximated", super::answer::GROUNDING),
        }
    }
    citations
}

/// Adds the citations; whether they say everything.
fn cite(
    metadata: &RawValue,
    parts: &[&RawValue],
    left: &mut Left,
    citations: &mut Vec<Citation>,
) -> Option<bool> {
    let mut whole = has_only(metadata, &["groundingChunks", "groundingSupports"]);
    let metadata: Metadata<'_> = serde_json::from_str(metadata.get()).ok()?;
    let chunks = metadata.grounding_chunks.unwrap_or_default();
    let page = |raw: &&RawValue| {
        let chunk: Chunk<'_> = serde_json::from_str(raw.get()).ok()?;
        whole &= has_only(raw, &["web"]) && has_only(chunk.web, &["uri", "title", "domain"]);
        serde_json::from_str(chunk.web.get()).ok()
    };
    let pages: Vec<Option<Page>> = chunks.iter().map(page).collect();
    let mut cited = vec![false; pages.len()];
    let texts = texts(parts)?;
    for raw in metadata.grounding_supports.unwrap_or_default() {
        // One that cannot be read says nothing of the others.
        let read = || {
            let support: Support<'_> = serde_json::from_str(raw.get()).ok()?;
            let segment: Segment = serde_json::from_str(support.segment.get()).ok()?;
            Some((support, segment))
        };
        let Some((support, segment)) = read() else {
            whole = false;
            continue;
        };
        whole &= has_only(
            raw,
            &["segment", "groundingChunkIndices", "confidenceScores"],
        ) && has_only(
            support.segment,
            &["partIndex", "startIndex", "endIndex", "text"],
        );
        let (start, end) = (segment.start_index.unwrap_or(0), segment.end_index);
        left.take(end)?;
        let range = texts.get(segment.part_index.unwrap_or(0)).and_then(|it| {
            let (before, text) = it.as_ref()?;
            let chars = |text: &str| text.chars().count() as u64;
            let from = before + chars(text.get(..start)?);
            Some((from, from + chars(text.get(start..end)?)))
        });
        for at in support.grounding_chunk_indices.unwrap_or_default() {
            let page = pages.get(at).and_then(Option::as_ref);
            let page = page.and_then(|page| Some((page.uri.as_ref()?, page.title.as_ref())));
            let (Some((start, end)), Some((url, title))) = (range, page) else {
                whole = false;
                continue;
            };
            let bytes = url.len() + title.map_or(0, String::len);
            left.take(bytes)?;
            left.citation()?;
            cited[at] = true;
            citations.push(Citation {
                url: url.clone(),
                title: title.cloned(),
                start,
                end,
            });
        }
    }
    Some(whole && cited.into_iter().all(|it| it))
}

/// Whether an object has no value in other fields than these.
fn has_only(raw: &RawValue, known: &[&str]) -> bool {
    let empty = |value: &RawValue| matches!(value.get(), "null" | "[]" | "{}" | "\"\"");
    let fields = Fields::of(raw, "candidates").map(Fields::rest);
    fields.is_ok_and(|them| {
        let mut them = them.iter();
        them.all(|(name, it)| known.contains(&name.as_ref()) || empty(it))
    })
}

/// The text of each part, and how many characters of text stand before it. `None`: it is no text.
fn texts(parts: &[&RawValue]) -> Option<Vec<Option<(u64, String)>>> {
    let mut before = 0;
    let read = |raw: &&RawValue| {
        let mut fields = Fields::of(raw, "candidates").ok()?;
        let thought = fields.flag("thought").ok()? == Some(true);
        let text = fields.take("text").and_then(text).filter(|_| !thought);
        Some(text.map(|text| {
            let at = before;
            before += text.chars().count() as u64;
            (at, text)
        }))
    };
    parts.iter().map(read).collect()
}

/// The metadata for `citations`. `texts`: each with its place among the parts. A citation that stands in none of them is
/// named in the warnings.
pub(super) fn write(
    citations: &[Citation],
    texts: &[(usize, &str)],
    left: &mut Left,
    warnings: &mut Warnings,
) -> Option<Object> {
    if citations.is_empty() {
        return None;
    }
    let mut pages: Vec<(&str, Option<&str>)> = Vec::new();
    let mut places = HashMap::new();
    let mut supports = Vec::new();
    let texts: Vec<(usize, &str, u64)> = texts
        .iter()
        .map(|(part, text)| (*part, *text, text.chars().count() as u64))
        .collect();
    for citation in citations {
        let found = left
            .citation()
            .and_then(|()| segment(citation, &texts, left));
        let Some((part, text, start, end)) = found else {
            warnings.dropped("citations");
            continue;
        };
        let page = (citation.url.as_str(), citation.title.as_deref());
        let at = *places.entry(page).or_insert_with(|| {
            pages.push(page);
            pages.len() - 1
        });
        let segment = Object::new()
            .maybe("partIndex", (part > 0).then_some(part))
            .with("startIndex", start)
            .with("endIndex", end)
            .with("text", &text[start..end]);
        let indices = array([at]);
        let support = Object::new().with("segment", segment);
        supports.push(support.with("groundingChunkIndices", indices));
    }
    let chunk = |(uri, title): &(&str, Option<&str>)| {
        let page = Object::new().with("uri", *uri).maybe("title", *title);
        Object::new().with("web", page)
    };
    (!supports.is_empty()).then(|| {
        Object::new()
            .with("groundingChunks", array(pages.iter().map(chunk)))
            .with("groundingSupports", array(supports))
    })
}

/// The text in which a citation stands, with its place among the parts, and where in it, in bytes. `texts`: with their lengths
/// in characters.
fn segment<'a>(
    citation: &Citation,
    texts: &[(usize, &'a str, u64)],
    left: &mut Left,
) -> Option<(usize, &'a str, usize, usize)> {
    let mut before = 0;
    for (part, text, chars) in texts {
        if citation.start >= before
            && citation.end <= before + chars
            && citation.start <= citation.end
        {
            left.take(text.len())?;
            let byte = |at: u64| {
                let at = usize::try_from(at - before).ok()?;
                let mut ends = text.char_indices().map(|(byte, _)| byte);
                Some(ends.nth(at).unwrap_or(text.len()))
            };
            return Some((*part, text, byte(citation.start)?, byte(citation.end)?));
        }
        before += chars;
    }
    None
}
