//! Any split of an answer gives the same result, with every format, as a body and as a stream, and what is reported can
//! be true. The first byte of the input chooses the format and where the answer is split.

use llm::format::FormatId;

const FORMATS: [FormatId; 12] = [
    FormatId::OpenaiChat,
    FormatId::OpenaiResponses,
    FormatId::OpenaiEmbeddings,
    FormatId::OpenaiModerations,
    FormatId::OpenaiImages,
    FormatId::OpenaiSpeech,
    FormatId::OpenaiTranscriptions,
    FormatId::Rerank,
    FormatId::AnthropicMessages,
    FormatId::GeminiGenerateContent,
    FormatId::GeminiEmbeddings,
    FormatId::OpenaiRealtime,
];

pub(crate) fn holds(input: &[u8]) {
    let Some((choice, answer)) = input.split_first() else {
        return;
    };
    let format = FORMATS[usize::from(*choice) % FORMATS.len()].format();
    let at = usize::from(*choice) % (answer.len() + 1);
    for streamed in [false, true] {
        let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut tap = format.usage_tap(streamed);
            pieces.for_each(|piece| tap.push(piece));
            tap.finish()
        };
        let whole = read(&mut [answer].into_iter());
        assert_eq!(read(&mut answer.chunks(1)), whole);
        assert_eq!(read(&mut [&answer[..at], &answer[at..]].into_iter()), whole);
        assert!(whole.reported.is_some() || !whole.complete);
        assert!(whole.output_bytes <= answer.len() as u64);
    }
}
