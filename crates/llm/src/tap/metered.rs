//! What one answer consumed, as told by the provider and as counted on its way.

use domain::{Terms, Usage};

/// How many bytes of text stand for one model token where nothing better is known.
///
/// English prose has about four characters to a token with every tokenizer in use; code and other scripts have
/// fewer, so a call that is estimated is rather cheap than dear for them.
pub(crate) const BYTES_PER_TOKEN: u64 = 4;

/// What was learned from an answer up to its end, or up to where it was given up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Metered {
    /// What the provider reported up to here. `None`: nothing, or counts that cannot be true.
    pub reported: Option<Usage>,
    /// Whether `reported` is the provider's last word: the answer was read without a gap up to its final usage.
    pub complete: bool,
    /// What it said of the terms.
    pub terms: Terms,
    /// Bytes of generated text that were seen: content, refusals, reasoning, names and arguments of tool calls.
    pub output_bytes: u64,
    /// Whether an answer of the model began, even if no text of it came. An error in its place is no answer.
    pub begun: bool,
    /// Whether a stream brought an error of the provider.
    pub refused: bool,
    /// What a stream said of its end.
    pub ended: Ended,
}

/// What a stream said of its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ended {
    /// Nothing, or it is no stream, or one of a format that has no word for it.
    #[default]
    Unsaid,
    /// So many of its answers are at their end.
    Answers(u64),
    /// All of it is.
    Whole,
    /// It has an event that is too long to be read, and what came behind it is not known.
    Unread,
}

impl Ended {
    /// Whether a stream of so many answers, of a format that [says its end](crate::format::WireFormat::says_end), is at
    /// its end as far as anybody can know.
    pub fn is_whole(self, answers: u64) -> bool {
        match self {
            Self::Unsaid => false,
            Self::Answers(ended) => ended >= answers,
            Self::Whole | Self::Unread => true,
        }
    }
}

/// The most model tokens that a call can have used. What is reported beyond is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// Of input, cache reads and writes included.
    pub input: u64,
    /// Of output. `None`: not known.
    pub output: Option<u64>,
}

/// Words that stand in a request for something that is read beside its text.
const MEDIA: [&[u8]; 14] = [
    b"\"image_url\"",
    b"\"image\"",
    b"\"input_audio\"",
    b"\"input_image\"",
    b"\"input_file\"",
    b"\"audio\"",
    b"\"video_url\"",
    b"\"file\"",
    b"\"document\"",
    b"\"container_upload\"",
    b"\"inlineData\"",
    b"\"inline_data\"",
    b"\"fileData\"",
    b"\"file_data\"",
];
/// What each of them may bring: a long document that is only named by its address.
const MEDIUM_TOKENS: u64 = 1 << 18;
/// What a provider may add to any request.
const ADDED_TOKENS: u64 = 1 << 16;
/// What a model may read of which nothing is known.
const LONGEST_CONTEXT: u64 = 1 << 21;

impl Ceiling {
    /// The ceiling of a call with this request body. `output`: the most output tokens that can come back, if known;
    /// `context`: the most tokens that the model reads, if known.
    ///
    /// No tokenizer makes more than one token of a byte, but a few bytes may name a long document. So whatever fits
    /// into the model is believed.
    pub fn of(body: &[u8], output: Option<u64>, context: Option<u64>) -> Self {
        let media = MEDIA
            .iter()
            .map(|word| memchr::memmem::find_iter(body, word).count() as u64)
            .sum::<u64>();
        let beside = media.saturating_mul(MEDIUM_TOKENS) + ADDED_TOKENS;
        Self {
            input: beside
                .saturating_add(body.len() as u64)
                .max(context.unwrap_or(LONGEST_CONTEXT)),
            output,
        }
    }

    fn admits(&self, usage: &Usage) -> bool {
        // Counts of a report are bounded, so their sum fits.
        let input = usage.input_tokens + usage.cached_input_tokens + usage.cache_write_tokens;
        let output = self.output.is_none_or(|most| usage.output_tokens <= most);
        input <= self.input && output
    }
}

impl Metered {
    /// The same without a report that is beyond `ceiling`, which was then no report of this call.
    pub fn within(self, ceiling: &Ceiling) -> Self {
        match self.reported {
            Some(reported) if !ceiling.admits(&reported) => Self {
                reported: None,
                complete: false,
                begun: true,
                ..self
            },
            _ => self,
        }
    }

    /// The usage of a request of which nothing is known but that a provider got it.
    pub fn input_only(request_bytes: u64) -> Usage {
        Usage {
            input_tokens: request_bytes.div_ceil(BYTES_PER_TOKEN),
            ..Usage::default()
        }
    }

    /// The usage to account for a call whose request had `request_bytes`, and whether it is estimated.
    ///
    /// A complete report is taken as it is. Otherwise the input is what was reported or a quarter of the request's
    /// bytes, and the output is what was reported or a quarter of the text's bytes, whichever is more. `None`: no
    /// answer began and nothing was reported.
    pub fn usage(&self, request_bytes: u64) -> Option<(Usage, bool)> {
        let so_far = match self.reported {
            Some(reported) if self.complete => return Some((reported, false)),
            Some(reported) => reported,
            None if !self.begun && self.output_bytes == 0 => return None,
            None => Self::input_only(request_bytes),
        };
        let counted = self.output_bytes.div_ceil(BYTES_PER_TOKEN);
        let estimated = Usage {
            output_tokens: so_far.output_tokens.max(counted),
            ..so_far
        };
        Some((estimated, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORTED: Usage = Usage {
        input_tokens: 11,
        cached_input_tokens: 5,
        cache_write_tokens: 3,
        output_tokens: 7,
        reasoning_tokens: 2,
    };

    fn metered(reported: Option<Usage>, complete: bool, output_bytes: u64) -> Metered {
        Metered {
            reported,
            complete,
            terms: Terms::default(),
            output_bytes,
            begun: output_bytes > 0,
            refused: false,
            ended: Ended::Unsaid,
        }
    }

    #[test]
    fn a_complete_report_is_taken_as_it_is() {
        let usage = metered(Some(REPORTED), true, 1_000_000).usage(1_000_000);
        assert_eq!(usage, Some((REPORTED, false)));
    }

    #[test]
    fn the_text_stands_in_for_a_report_that_did_not_come_to_its_end() {
        for (output_bytes, output_tokens) in [(0, 7), (28, 7), (29, 8), (400, 100)] {
            let expected = Usage {
                output_tokens,
                ..REPORTED
            };
            let usage = metered(Some(REPORTED), false, output_bytes).usage(9_999);
            assert_eq!(usage, Some((expected, true)), "{output_bytes}");
        }
    }

    #[test]
    fn without_a_report_the_bytes_are_counted_and_rounded_up() {
        for (request, output, input_tokens, output_tokens) in [
            (0, 1, 0, 1),
            (1, 4, 1, 1),
            (4, 5, 1, 2),
            (5, 8, 2, 2),
            (u64::MAX, u64::MAX, 1 << 62, 1 << 62),
        ] {
            let expected = Usage {
                input_tokens,
                output_tokens,
                ..Usage::default()
            };
            let usage = metered(None, false, output).usage(request);
            assert_eq!(usage, Some((expected, true)), "{request} {output}");
        }
    }

    #[test]
    fn an_answer_that_began_consumed_its_input_and_no_answer_consumed_nothing() {
        assert_eq!(Metered::default().usage(400), None);
        let begun = Metered {
            begun: true,
            ..Metered::default()
        };
        let expected = Usage {
            input_tokens: 100,
            ..Usage::default()
        };
        assert_eq!(begun.usage(400), Some((expected, true)));
    }

    #[test]
    fn a_stream_is_whole_when_all_of_its_answers_ended_or_nobody_can_know() {
        for (ended, of_one, of_two) in [
            (Ended::Unsaid, false, false),
            (Ended::Answers(1), true, false),
            (Ended::Answers(2), true, true),
            (Ended::Whole, true, true),
            (Ended::Unread, true, true),
        ] {
            assert_eq!((ended.is_whole(1), ended.is_whole(2)), (of_one, of_two));
        }
    }

    #[test]
    fn a_report_beyond_what_the_call_can_have_used_is_not_believed() {
        let text = br#"{"model":"a","messages":[{"role":"user","content":"\"image\""}]}"#;
        let most = text.len() as u64 + ADDED_TOKENS;
        let ceiling = Ceiling::of(text, Some(7), Some(0));
        assert_eq!(ceiling.input, most);
        let with = |input_tokens, output_tokens| {
            let usage = Usage {
                input_tokens,
                output_tokens,
                ..REPORTED
            };
            metered(Some(usage), true, 8).within(&ceiling)
        };
        // 5 and 3 of the input are the cache's.
        assert!(with(most - 8, 7).complete);
        for lie in [with(most - 7, 7), with(1, 8)] {
            let expected = Usage {
                input_tokens: 10,
                output_tokens: 2,
                ..Usage::default()
            };
            assert_eq!(lie.usage(40), Some((expected, true)));
        }
        let unknown = Ceiling::of(text, None, Some(0));
        let usage = Usage {
            output_tokens: 1 << 39,
            ..REPORTED
        };
        assert!(metered(Some(usage), true, 8).within(&unknown).complete);
    }

    #[test]
    fn pictures_and_files_raise_the_ceiling() {
        let body = br#"{"content":[{"type":"image_url","image_url":{"url":"https://a.test/b"}},{"type":"file"}]}"#;
        let most = body.len() as u64 + ADDED_TOKENS + 3 * MEDIUM_TOKENS;
        assert_eq!(Ceiling::of(body, None, Some(0)).input, most);
        let parts = br#"{"contents":[{"parts":[{"inlineData":{}},{"file_data":{}}]}]}"#;
        let expected = parts.len() as u64 + ADDED_TOKENS + 2 * MEDIUM_TOKENS;
        assert_eq!(Ceiling::of(parts, None, Some(0)).input, expected);
        // A few bytes may name a long document: what fits into the model is believed.
        assert_eq!(
            Ceiling::of(body, None, Some(1_000_000)).input,
            most.max(1_000_000)
        );
    }
}
