//! Random texts for tests: unique each time, in the shapes that real credentials have.

use crypto_box::aead::OsRng;
use crypto_box::aead::rand_core::RngCore;

const ALPHANUMERIC: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// `N` random bytes.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

/// `length` random ASCII letters and digits.
pub fn alphanumeric(length: usize) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        // 248 is the largest multiple of 62 in a byte: the remainder is even.
        for byte in bytes::<64>().into_iter().filter(|byte| *byte < 248) {
            if text.len() == length {
                break;
            }
            text.push(char::from(ALPHANUMERIC[usize::from(byte % 62)]));
        }
    }
    text
}

/// Random lower-case hex digits for names of databases and directories.
pub fn hex_name() -> String {
    bytes::<8>()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_their_length_and_differ() {
        for length in [0, 1, 63, 64, 65, 500] {
            assert_eq!(alphanumeric(length).len(), length);
        }
        assert_ne!(alphanumeric(20), alphanumeric(20));
        assert_ne!(hex_name(), hex_name());
    }
}
