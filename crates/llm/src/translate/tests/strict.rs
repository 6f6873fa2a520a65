//! What clients of OpenAI's formats get is read by one that takes no event without its number and no answer without a field
//! that it knows.

use async_openai::types::chat::{CreateChatCompletionResponse, CreateChatCompletionStreamResponse};
use async_openai::types::responses::{Response, ResponseStreamEvent};
use serde::de::DeserializeOwned;

use super::*;

/// Reads it as the client does.
fn read<T: DeserializeOwned>(text: &[u8], of: &str) -> T {
    let read = serde_json::from_slice(text);
    read.unwrap_or_else(|error| panic!("{of}: {error}\n{}", String::from_utf8_lossy(text)))
}

/// The data of the events of a stream.
fn data(stream: &str) -> impl Iterator<Item = &str> {
    stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
}

fn is_error(text: &[u8]) -> bool {
    text.starts_with(br#"{"error":"#)
}

/// The providers of other formats than `client`'s.
fn upstreams(client: FormatId) -> impl Iterator<Item = FormatId> {
    ALL.into_iter().filter(move |it| *it != client)
}

/// Every answer that can be told in the client's format, with its name.
fn answers(client: FormatId) -> impl Iterator<Item = (String, Vec<u8>)> {
    upstreams(client).flat_map(move |upstream| {
        let plan = plan(client, upstream);
        let told = fixtures(upstream, "answer").into_iter();
        told.filter_map(move |(name, body)| {
            let answer = plan.answer(&body, &stamp()).ok()?;
            // One that says that it failed is told as an error.
            if is_error(&answer) {
                return None;
            }
            Some((format!("{upstream} {name}"), answer.to_vec()))
        })
    })
}

/// Every stream, with its name.
fn streams(client: FormatId) -> impl Iterator<Item = (String, String)> {
    upstreams(client).flat_map(move |upstream| {
        let plan = plan(client, upstream);
        let told = fixtures(upstream, "stream").into_iter();
        told.map(move |(name, bytes)| {
            (
                format!("{upstream} {name}"),
                stream(&plan, [bytes.as_slice()]),
            )
        })
    })
}

#[test]
fn a_strict_client_reads_every_response() {
    let mut count = 0;
    for (name, answer) in answers(FormatId::OpenaiResponses) {
        let response: Response = read(&answer, &name);
        assert_eq!(response.object, "response");
        count += 1;
    }
    assert!(count > 10);
}

#[test]
fn a_strict_client_reads_every_event_of_responses() {
    let mut count = 0;
    for (name, stream) in streams(FormatId::OpenaiResponses) {
        for event in data(&stream) {
            read::<ResponseStreamEvent>(event.as_bytes(), &name);
            count += 1;
        }
    }
    assert!(count > 100);
}

#[test]
fn a_strict_client_reads_every_chat_completion() {
    let mut count = 0;
    for (name, answer) in answers(FormatId::OpenaiChat) {
        let completion: CreateChatCompletionResponse = read(&answer, &name);
        assert_eq!(completion.choices.len(), 1, "{name}");
        count += 1;
    }
    assert!(count > 10);
}

#[test]
fn a_strict_client_reads_every_chunk_of_chat_completions() {
    let mut count = 0;
    for (name, stream) in streams(FormatId::OpenaiChat) {
        let chunks = data(&stream).filter(|it| *it != "[DONE]" && !is_error(it.as_bytes()));
        for chunk in chunks {
            read::<CreateChatCompletionStreamResponse>(chunk.as_bytes(), &name);
            count += 1;
        }
    }
    assert!(count > 50);
}
