//! How the format takes part in translation.

use super::{AnthropicMessages, answer, request, stream};
use crate::neutral::{Answer, NotTranslatable, Request, Warnings};
use crate::translate::{Asked, Dialect, Stamp, StreamReader, StreamWriter, Target};

impl Dialect for AnthropicMessages {
    fn read_request(
        &self,
        body: &[u8],
        warnings: &mut Warnings,
    ) -> Result<Request, NotTranslatable> {
        request::read(body, warnings)
    }

    fn write_request(
        &self,
        request: Request,
        target: &Target,
        warnings: &mut Warnings,
    ) -> Result<String, NotTranslatable> {
        request::write(request, target, warnings)
    }

    fn read_answer(
        &self,
        body: &[u8],
        _answers: u64,
        warnings: &mut Warnings,
    ) -> Result<Answer, NotTranslatable> {
        answer::read(body, warnings)
    }

    fn write_answer(
        &self,
        answer: &Answer,
        asked: &Asked,
        stamp: &Stamp,
        warnings: &mut Warnings,
    ) -> Result<String, NotTranslatable> {
        answer::write(answer, asked, stamp, warnings)
    }

    fn stream_reader(&self, _answers: u64) -> Box<dyn StreamReader> {
        Box::new(stream::Reader::default())
    }

    fn stream_writer(&self, _asked: Asked, stamp: Stamp) -> Box<dyn StreamWriter> {
        Box::new(stream::Writer::new(stamp))
    }
}
