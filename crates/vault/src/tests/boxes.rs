//! Sealed boxes: the format is libsodium's, and nothing but an unchanged box opens.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::support::secret;
use crate::crypto::{self, hex, unhex};
use crate::seal::{self, SealError, check_public_key, kek_id, seal_raw};

/// Made by libsodium through PyNaCl 1.6.2, 2026-11-20: recipient's private key, content, box.
const LIBSODIUM_BOXES: [(&str, &str, &str); 3] = [
    (
        "4242424242424242424242424242424242424242424242424242424242424242",
        "sk-0123456789abcdef",
        "E8IZf2PAETkCV7PGOf0B5cpi1T498of0Gz2j2D08zljSCgut4xZJodhdHtZZzRXd1xSXEh6ITvF759qvb32UjvqbDA==",
    ),
    (
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "",
        "BHT3Ll6JS9EnCL4AWhqAC2KA35LbJ8QjdmqcCVhAhQifchGaPW0FVuzRgi7dqHWT",
    ),
    (
        "6465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f80818283",
        "sk-ant-api03-Aa0_Aa0_Aa0_Aa0_Aa0_Aa0_Aa0_Aa0_Aa0_Aa0_Aa0_Aa0_Aa0_Aa0_Aa0_Aa0_Aa0_Aa0_Aa0_Aa0_Aa0_Aa0_Aa0_Aa0_",
        "g2XAxfRF3KICorNdty5DJ4tu2TYBg8taKL2A8KvS8VHUFxp5kjAnG7iXUtMzK3DRSB5BeXEfR21KWSwwuhgjOrIzke15D0Tf+cgmtC3X8g4M2mJvAx9ui0NAUhIJ0TiqZC+22PxZQBDDoXzxWDVFEQmkkkpq1v2VTTK1IR2SEyT7LrWdsnhGpV3/Qz872zouYIpPYLvaQ/GKp0di1g==",
    ),
];

const PRIVATE: [u8; 32] = [0x42; 32];

fn boxed(content: &[u8]) -> Vec<u8> {
    let ephemeral = [0x17; 32].into();
    seal::seal_with(&seal::public_key(&PRIVATE), content, ephemeral).expect("a good public key")
}

fn opens(sealed: &[u8]) -> bool {
    seal::open(&PRIVATE, sealed).is_some()
}

// T18 (the console's and other implementations' boxes are tried in their own tests)
#[test]
fn boxes_made_by_libsodium_open() {
    assert!(!LIBSODIUM_BOXES.is_empty());
    for (private, content, sealed) in LIBSODIUM_BOXES {
        let private = unhex(private).expect("32 bytes");
        let sealed = STANDARD.decode(sealed).expect("base64");
        let opened = seal::open(&private, &sealed).expect("a box of libsodium");
        assert_eq!(opened[..], *content.as_bytes());
    }
}

// T19
#[test]
fn only_a_whole_and_unchanged_box_opens() {
    for content in [&b"sk-0123456789abcdef"[..], b"", &[0; 300]] {
        let sealed = boxed(content);
        assert_eq!(sealed.len(), content.len() + seal::BOX_OVERHEAD_BYTES);
        assert!(opens(&sealed));
        for len in 0..sealed.len() {
            assert!(!opens(&sealed[..len]), "cut at {len}");
        }
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!opens(&changed), "bit {bit}");
        }
        assert!(!opens(&[sealed.clone(), vec![0]].concat()));
        assert!(seal::open(&[0x43; 32], &sealed).is_none(), "another key");
    }
}

/// The points whose order divides 8, as <https://cr.yp.to/ecdh.html#validate> lists them, and what
/// anybody can send with each as ephemeral key: `sk-0123456789` under a shared secret of zero, boxed for
/// the holder of [`PRIVATE`] with HSalsa20 and libsodium's `crypto_secretbox`.
const LOW_ORDER: [(&str, &str); 7] = [
    (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "217cba1a0411bbc3bbcab3c615d48b44cc50a29162e37dae757d272ef4",
    ),
    (
        "0100000000000000000000000000000000000000000000000000000000000000",
        "cbc437e9015a3acbf789061a752da660fe9fb45e1b22bd101621439bbf",
    ),
    (
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "713529fb2c1b4cd97f629c1e42bc95d0d21d22d4a2c03aea686149f12b",
    ),
    (
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "b658b0b1a51df2ec3b6c5a5da3004b6aa8e725c2c1780279893438a0a1",
    ),
    (
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "4bc6564a74a4ee1ad516885600a2ce955b6738f34e5f5c9246d6de0103",
    ),
    (
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "9e0a8bbb79f34a086d4474c2ad34bece475d326017ebe32b6a86ad14fb",
    ),
    (
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "64b25e466623856def7bb9da0cb6fad32b11a0b3135d22b4542b52f977",
    ),
];

// T30
#[test]
fn a_public_key_of_low_order_is_never_sealed_to() {
    for (point, _) in LOW_ORDER {
        for high_bit in [0, 0x80] {
            let mut public: [u8; 32] = unhex(point).expect("32 bytes");
            public[31] |= high_bit;
            let sealed = seal_raw(&public, &secret("sk-0123456789"));
            assert_eq!(sealed, Err(SealError::LowOrder), "{point}");
            let checked = check_public_key(&kek_id(&public), &public);
            assert_eq!(checked, Err(SealError::LowOrder), "{point}");
        }
    }
}

// T19: such a box needs no public key, so it would open for whatever key is active.
#[test]
fn a_box_with_an_ephemeral_key_of_low_order_is_refused() {
    let mut opened_without_the_check = 0;
    for (point, ciphertext) in LOW_ORDER {
        let ephemeral: [u8; 32] = unhex(point).expect("32 bytes");
        let ciphertext: [u8; 29] = unhex(ciphertext).expect("13 bytes and a tag");
        let sealed = [&ephemeral[..], &ciphertext].concat();
        assert!(!opens(&sealed), "{point}");
        let unchecked = crypto_box::SecretKey::from_bytes(PRIVATE).unseal(&sealed);
        opened_without_the_check += usize::from(unchecked.is_ok());
    }
    // Otherwise this test would show nothing.
    assert!(opened_without_the_check > 0);
}

// T30
#[test]
fn a_public_key_must_match_its_id() {
    let public = seal::public_key(&PRIVATE);
    let id = kek_id(&public);
    assert_eq!(id.len(), 32);
    assert_eq!(check_public_key(&id, &public), Ok(()));
    let other = kek_id(&seal::public_key(&[0x43; 32]));
    for claimed in [
        "",
        &id[..31],
        &id.to_uppercase(),
        &format!("{id} "),
        other.as_str(),
    ] {
        assert_eq!(
            check_public_key(claimed, &public),
            Err(SealError::WrongKekId)
        );
    }
    let expected = crypto::sha256(&[b"keybearer-seal-v1", &public]);
    assert_eq!(id, hex(&expected[..16]));
}

#[test]
fn what_cannot_be_a_provider_key_is_not_sealed() {
    let public = seal::public_key(&PRIVATE);
    for text in [
        "",
        "short",
        "sk-0123 456789",
        "sk-0123456789\n",
        "{\"v\":1}",
        "{0123456789",
    ] {
        let sealed = seal_raw(&public, &secret(text));
        assert!(matches!(sealed, Err(SealError::InvalidKey(_))), "{text:?}");
    }
}

#[test]
fn two_boxes_of_one_key_are_different() {
    let public = seal::public_key(&PRIVATE);
    let key = secret("sk-0123456789");
    assert_ne!(seal_raw(&public, &key), seal_raw(&public, &key));
}
