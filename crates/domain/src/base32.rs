//! Crockford's base 32 in lower case: the text form of ids and credentials.
//!
//! Source: <https://www.crockford.com/base32.html> (alphabet without i, l, o and u). Decoding is strict:
//! one text per value, so upper case and the look-alike letters are refused.

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// The value of each digit.
const VALUES: [Option<u8>; 256] = {
    let mut values = [None; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        values[ALPHABET[value] as usize] = Some(value as u8);
        value += 1;
    }
    values
};

/// Writes `bytes` most significant bit first, padded with zero bits at the front to a whole number of digits.
///
/// 16 bytes give 26 digits, 32 bytes give 52, 4 bytes give 7.
pub fn encode(bytes: &[u8]) -> String {
    let digits = (bytes.len() * 8).div_ceil(5);
    let mut text = vec![0; digits];
    write(bytes, &mut text);
    text.into_iter().map(char::from).collect()
}

/// The text of an id, without going through the heap: every row and answer has several.
pub(crate) fn id_digits(id: [u8; 16]) -> [u8; 26] {
    /// So many digits have their bits in one word of the machine.
    const IN_A_WORD: usize = 12;
    let mut rest = u128::from_be_bytes(id);
    let mut text = [0; 26];
    for digits in text.rchunks_mut(IN_A_WORD) {
        let mut word = rest as u64;
        for digit in digits.iter_mut().rev() {
            *digit = ALPHABET[(word & 31) as usize];
            word >>= 5;
        }
        rest >>= 5 * IN_A_WORD;
    }
    text
}

/// Fills `text` from its end, which needs no padding.
fn write(bytes: &[u8], text: &mut [u8]) {
    let (mut held, mut held_bits): (u32, u32) = (0, 0);
    let mut left = bytes.iter().rev();
    for digit in text.iter_mut().rev() {
        if held_bits < 5 {
            held |= left.next().map_or(0, |byte| u32::from(*byte)) << held_bits;
            held_bits += 8;
        }
        *digit = ALPHABET[(held & 31) as usize];
        held >>= 5;
        held_bits = held_bits.saturating_sub(5);
    }
}

/// Reads what [`encode`] wrote for exactly `N` bytes; `None` for any other text.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = (N * 8).div_ceil(5);
    if text.len() != digits {
        return None;
    }
    let mut bytes = [0u8; N];
    let mut written = 0;
    let mut padding = digits * 5 - N * 8;
    let mut held: u32 = 0;
    let mut held_bits = 0;
    for digit in text.bytes() {
        let value = u32::from(VALUES[usize::from(digit)]?);
        let mut value_bits = 5;
        if padding > 0 {
            // The padding sits in the first digit only: fewer than 5 bits of it.
            if value >> (5 - padding) != 0 {
                return None;
            }
            value_bits -= padding;
            padding = 0;
        }
        held = (held << value_bits) | value;
        held_bits += value_bits;
        if held_bits >= 8 {
            held_bits -= 8;
            bytes[written] = (held >> held_bits) as u8;
            written += 1;
            held &= (1 << held_bits) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_one_text() {
        for seed in 0..=255u8 {
            let bytes: [u8; 16] =
                std::array::from_fn(|i| seed.wrapping_mul(31).wrapping_add(i as u8 * 7));
            let text = encode(&bytes);
            assert_eq!(text.len(), 26);
            assert_eq!(id_digits(bytes), text.as_bytes());
            assert_eq!(decode::<16>(&text), Some(bytes));
        }
        assert_eq!(encode(&[0; 4]), "0000000");
        assert_eq!(encode(&[0xff; 4]), "3zzzzzz");
        assert_eq!(decode::<4>("3zzzzzz"), Some([0xff; 4]));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "4000000", "zzzzzzz", "000000", "00000000", "000000O", "000000u", "00000é",
        ] {
            assert_eq!(decode::<4>(text), None, "{text}");
        }
    }
}
