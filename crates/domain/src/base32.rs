//! Crockford's base 32 in lower case: the text form of ids and credentials.
//!
//! Source: <https://www.crockford.com/base32.html> (alphabet without i, l, o and u). Decoding is strict:
//! one text per value, so upper case and the look-alike letters are refused.

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Writes `bytes` most significant bit first, padded with zero bits at the front to a whole number of digits.
///
/// 16 bytes give 26 digits, 32 bytes give 52, 4 bytes give 7.
pub fn encode(bytes: &[u8]) -> String {
    let digits = (bytes.len() * 8).div_ceil(5);
    let mut text = String::with_capacity(digits);
    let mut held_bits = digits * 5 - bytes.len() * 8;
    let mut held: u32 = 0;
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        held_bits += 8;
        while held_bits >= 5 {
            held_bits -= 5;
            text.push(char::from(ALPHABET[(held >> held_bits) as usize & 31]));
        }
        held &= (1 << held_bits) - 1;
    }
    text
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
        let value = ALPHABET.iter().position(|letter| *letter == digit)? as u32;
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
