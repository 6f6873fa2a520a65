//! Whatever comes in: the right thing comes back, or an error, never a panic.

use proptest::prelude::{Strategy, any, proptest};
use proptest::{collection, prop_assert, prop_assert_eq};

use super::support::{World, secret};
use crate::kms::split_key_id;
use crate::seal::{seal_raw, seal_v1};
use crate::{OpenError, RawBox};

/// Every text that may be a provider key.
fn keys() -> impl Strategy<Value = String> {
    "[!#-&(-\\[\\]-_a-z|-~][!#-&(-\\[\\]-_a-~]{7,200}"
}

proptest! {
    #[test]
    fn any_key_goes_through_any_door_unchanged(key in keys(), jti in any::<[u8; 16]>()) {
        let world = World::new();
        let public = &world.sealing_key.public_key;
        let raw = seal_raw(public, &secret(&key)).expect("a good key");
        let mut context = world.box_context();
        context.jti = jti;
        let v1 = seal_v1(public, &secret(&key), &context).expect("a good key");
        for text in [raw, v1] {
            let accepted = world.submit(&text, RawBox::Accept).expect("a good box");
            prop_assert_eq!(world.open(&accepted.envelope), Ok(key.clone().into_bytes()));
        }
        let envelope = world.plain(key.as_bytes(), &world.context, &world.data_key);
        prop_assert_eq!(world.open(&envelope), Ok(key.into_bytes()));
    }

    // T3, T19
    #[test]
    fn junk_is_an_error(junk in collection::vec(any::<u8>(), 0..600), text in "\\PC{0,200}") {
        let world = World::new();
        prop_assert_eq!(world.open(&junk), Err(OpenError::Integrity));
        let _ = split_key_id(&junk);
        prop_assert!(world.submit(&text, RawBox::Accept).is_err());
    }

    // T3
    #[test]
    fn a_genuine_header_with_junk_behind_it_is_an_error(
        junk in collection::vec(any::<u8>(), 0..600),
        keep in 0..100usize,
    ) {
        let world = World::new();
        let mut envelope = world.envelope();
        envelope.truncate(keep);
        envelope.extend_from_slice(&junk);
        prop_assert_eq!(world.open(&envelope), Err(OpenError::Integrity));
    }

    // T21
    #[test]
    fn what_is_in_a_box_is_a_key_or_refused(content in collection::vec(any::<u8>(), 0..300)) {
        use base64::Engine;
        let world = World::new();
        let sealed = crate::seal::seal_with(&world.sealing_key.public_key, &content, [3; 32].into());
        let text = base64::engine::general_purpose::STANDARD.encode(sealed.expect("a box"));
        if let Ok(accepted) = world.submit(&text, RawBox::Accept) {
            prop_assert!(domain::key::check_key(&content).is_ok());
            prop_assert_eq!(world.open(&accepted.envelope), Ok(content));
        }
    }
}
