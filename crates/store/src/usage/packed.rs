//! A usage row as bytes, in MessagePack: what the derived writer writes, word for word.
//!
//! Every call ends with one, and the derived writer asks its buffer for room some two hundred times for it. Rows are read
//! by the derived reader; the tests below compare the writers.

use domain::policy::KeySource;
use domain::price::Pricing;
use domain::{KeyScope, Label, NanoUsd, ProviderId, ProviderKeyId};

use super::{AttemptRow, UsageRow};

const NIL: u8 = 0xc0;

/// Appends the row.
pub(super) fn write(row: &UsageRow, bytes: &mut Vec<u8>) {
    let UsageRow {
        request,
        at,
        account,
        workspace,
        api_key,
        user,
        wire_format,
        operation,
        model_requested,
        provider,
        model,
        key_source,
        key,
        key_label,
        status,
        error_code,
        streamed,
        usage,
        latency_ms,
        first_byte_ms,
        request_bytes,
        response_bytes,
        upstream_status,
        cost,
        pricing,
        catalog_version,
        charge,
        attempts,
        fallback,
        key_scope,
        made,
    } = row;
    let mut to = Packer(bytes);
    to.list(30 + usize::from(!made.is_empty()));
    to.id(request.bytes());
    to.int(at.millis());
    to.id(account.bytes());
    to.id(workspace.bytes());
    to.id(api_key.bytes());
    to.id(user.bytes());
    to.text(wire_format);
    to.text(operation);
    to.text(model_requested);
    to.maybe(provider.as_ref().map(ProviderId::as_str), Packer::text);
    to.maybe(model.as_deref(), Packer::text);
    to.maybe(key_source.map(KeySource::as_str), Packer::text);
    to.maybe(key.as_ref().map(ProviderKeyId::bytes), Packer::id);
    to.maybe(key_label.as_ref().map(Label::as_str), Packer::text);
    to.int(*status);
    to.maybe(error_code.as_deref(), Packer::text);
    to.flag(*streamed);
    to.maybe(*usage, |to, usage| {
        to.list(5);
        to.uint(usage.input_tokens);
        to.uint(usage.cached_input_tokens);
        to.uint(usage.cache_write_tokens);
        to.uint(usage.output_tokens);
        to.uint(usage.reasoning_tokens);
    });
    to.int(*latency_ms);
    to.maybe(*first_byte_ms, Packer::int);
    to.int(*request_bytes);
    to.int(*response_bytes);
    to.maybe(*upstream_status, Packer::int);
    to.maybe(cost.map(NanoUsd::nanos), Packer::int);
    to.maybe(pricing.map(Pricing::as_str), Packer::text);
    to.maybe(catalog_version.as_deref(), Packer::text);
    to.int(charge.nanos());
    to.list(attempts.len());
    for attempt in attempts {
        to.attempt(attempt);
    }
    to.flag(*fallback);
    to.maybe(key_scope.map(KeyScope::as_str), Packer::text);
    // Left out where there are none, as the derived writer does.
    if !made.is_empty() {
        to.list(made.len());
        for id in made {
            to.text(id);
        }
    }
}

/// Each value takes the shortest form that it has.
struct Packer<'a>(&'a mut Vec<u8>);

impl Packer<'_> {
    fn attempt(&mut self, attempt: &AttemptRow) {
        let AttemptRow {
            provider,
            model,
            key,
            label,
            key_source,
            status,
            outcome,
            latency_ms,
            key_scope,
            cost,
        } = attempt;
        self.list(9 + usize::from(cost.is_some()));
        self.text(provider.as_str());
        self.text(model);
        self.maybe(key.as_ref().map(ProviderKeyId::bytes), Packer::id);
        self.maybe(label.as_ref().map(Label::as_str), Packer::text);
        self.text(key_source.as_str());
        self.maybe(*status, Packer::int);
        self.text(outcome);
        self.int(*latency_ms);
        self.maybe(key_scope.map(KeyScope::as_str), Packer::text);
        // Left out where it is not there, as the derived writer does.
        if let Some(cost) = cost {
            self.int(cost.nanos());
        }
    }

    fn maybe<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => write(self, value),
            None => self.0.push(NIL),
        }
    }

    fn flag(&mut self, value: bool) {
        self.0.push(if value { 0xc3 } else { 0xc2 });
    }

    fn id(&mut self, id: &[u8; 16]) {
        self.0.extend_from_slice(&[0xc4, 16]);
        self.0.extend_from_slice(id);
    }

    fn text(&mut self, text: &str) {
        self.length(text.len(), (0xa0, 31), [Some(0xd9), Some(0xda), Some(0xdb)]);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn list(&mut self, length: usize) {
        self.length(length, (0x90, 15), [None, Some(0xdc), Some(0xdd)]);
    }

    /// `short`: what a length of up to the second number is added to. `marks`: what stands before one of 1, 2 or 4 bytes.
    fn length(&mut self, length: usize, short: (u8, usize), marks: [Option<u8>; 3]) {
        let wide = u32::try_from(length).unwrap_or(u32::MAX);
        match (u8::try_from(length), u16::try_from(length), marks) {
            (Ok(narrow), ..) if length <= short.1 => self.0.push(short.0 | narrow),
            (Ok(narrow), _, [Some(mark), ..]) => self.0.extend_from_slice(&[mark, narrow]),
            (_, Ok(middle), [_, Some(mark), _]) => self.marked(mark, middle.to_be_bytes()),
            (_, _, [.., mark]) => self.marked(mark.unwrap_or(NIL), wide.to_be_bytes()),
        }
    }

    fn int(&mut self, value: i64) {
        if let Ok(value) = u64::try_from(value) {
            return self.uint(value);
        }
        if value >= -32 {
            self.marked::<0>(value.to_be_bytes()[7], []);
        } else if let Ok(value) = i8::try_from(value) {
            self.marked(0xd0, value.to_be_bytes());
        } else if let Ok(value) = i16::try_from(value) {
            self.marked(0xd1, value.to_be_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.marked(0xd2, value.to_be_bytes());
        } else {
            self.marked(0xd3, value.to_be_bytes());
        }
    }

    fn uint(&mut self, value: u64) {
        match value {
            0..0x80 => self.marked::<0>(value.to_be_bytes()[7], []),
            0x80..0x100 => self.marked(0xcc, [value.to_be_bytes()[7]]),
            0x100..0x1_0000 => self.marked(0xcd, (value as u16).to_be_bytes()),
            0x1_0000..0x1_0000_0000 => self.marked(0xce, (value as u32).to_be_bytes()),
            _ => self.marked(0xcf, value.to_be_bytes()),
        }
    }

    fn marked<const N: usize>(&mut self, mark: u8, bytes: [u8; N]) {
        self.0.push(mark);
        self.0.extend_from_slice(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::row;
    use super::*;

    fn assert_is_derived(row: &UsageRow) {
        let mut bytes = Vec::new();
        write(row, &mut bytes);
        assert_eq!(bytes, rmp_serde::to_vec(row).expect("it can be written"));
    }

    #[test]
    fn a_row_is_written_as_the_derived_writer_writes_it() {
        let mut row = row();
        assert_is_derived(&row);
        row.key_scope = Some(KeyScope::Account);
        row.streamed = false;
        let only = row.attempts[0].clone();
        row.attempts = vec![only; 17];
        row.attempts[1].key_scope = Some(KeyScope::Workspace);
        row.attempts[2].cost = Some(NanoUsd::new(70_000));
        assert_is_derived(&row);
        row.made = vec!["resp_1".to_owned(); 3];
        assert_is_derived(&row);
        row.made.clear();
        row.provider = None;
        row.model = None;
        row.key_source = None;
        row.key = None;
        row.key_label = None;
        row.error_code = None;
        row.usage = None;
        row.first_byte_ms = None;
        row.upstream_status = None;
        row.cost = None;
        row.pricing = None;
        row.catalog_version = None;
        row.attempts.clear();
        assert_is_derived(&row);
    }

    #[test]
    fn every_length_and_number_has_the_derived_form() {
        let mut row = row();
        for length in [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
            row.model_requested = "x".repeat(length);
            assert_is_derived(&row);
        }
        row.model_requested.clear();
        for bits in 0..64 {
            for near in [-1, 0, 1] {
                let value = (1_i64 << bits).wrapping_add(near);
                for value in [value, value.wrapping_neg()] {
                    row.latency_ms = value;
                    let usage = row.usage.as_mut().expect("it has one");
                    usage.output_tokens = value as u64;
                    assert_is_derived(&row);
                }
            }
        }
    }

    #[test]
    fn every_word_is_the_derived_one() {
        let mut row = row();
        for source in [KeySource::Byok, KeySource::Managed] {
            row.key_source = Some(source);
            for pricing in Pricing::ALL.iter().copied() {
                row.pricing = Some(pricing);
                for scope in KeyScope::ALL.iter().copied() {
                    row.key_scope = Some(scope);
                    assert_is_derived(&row);
                }
            }
        }
    }
}
