//! The test vectors of `docs/vault-format.md`, computed again. Whoever changes a format changes that text.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::record::{DataKeyRecord, DeploymentRecord, KeyContext, SealingKeyRecord};
use domain::{
    Clock, DataKeyId, DeploymentId, KeyOwner, ProviderKeyId, Random, RandomError, Sources,
    Timestamp, WorkspaceId,
};
use zeroize::Zeroizing;

use super::support::now;
use crate::committed::Fresh;
use crate::crypto::{self, hex};
use crate::envelope::{self, Binding};
use crate::hash::HashPurpose;
use crate::kms::local::LocalKms;
use crate::kms::with_key_id;
use crate::seal::{self, BoxContext};
use crate::{IntakeRules, Kms, RawBox, Root, RootKey, Submission, aad, box_v1};

const DOCUMENT: &str = include_str!("../../../../docs/vault-format.md");

const KEY: &[u8] = b"sk-proj-0123456789abcdefghijWXYZ";
const NOW: Timestamp = Timestamp::from_millis(1_795_176_000_000);

/// Bytes that count up from `first`.
fn counting<const N: usize>(first: u8) -> [u8; N] {
    std::array::from_fn(|i| first.wrapping_add(i as u8))
}

fn fresh(first: u8) -> Fresh {
    Fresh {
        salt: [first; 32],
        nonce: [first + 1; 12],
    }
}

/// Gives the salts and nonces of the document, in the order in which they are used.
fn scripted(draws: &[&Fresh]) -> Random {
    let bytes = |fresh: &&Fresh| [fresh.salt.to_vec(), fresh.nonce.to_vec()];
    let queue = Mutex::new(draws.iter().flat_map(bytes).collect::<VecDeque<_>>());
    Random::new(move |buffer| {
        let next = queue.lock().map_err(|_| RandomError)?.pop_front();
        buffer.copy_from_slice(&next.ok_or(RandomError)?);
        Ok(())
    })
}

struct Vectors(Vec<(&'static str, String)>);

impl Vectors {
    fn text(&mut self, name: &'static str, value: impl ToString) {
        self.0.push((name, value.to_string()));
    }

    fn bytes(&mut self, name: &'static str, value: &[u8]) {
        self.text(name, hex(value));
    }

    /// The two keys that a salt gives.
    fn derived(&mut self, names: [&'static str; 2], salt: &[u8], secret: &[u8], info: &str) {
        let both = crypto::hkdf::<64>(salt, secret, info.as_bytes());
        self.bytes(names[0], &both[..32]);
        self.bytes(names[1], &both[32..]);
    }
}

#[test]
fn the_documents_vectors_are_those_of_the_code() {
    let mut vectors = Vectors(Vec::new());

    let root_key = counting::<32>(0);
    let kms_fresh = [fresh(0x30), fresh(0x40), fresh(0x50)];
    let random = scripted(&kms_fresh.each_ref());
    let checked = RootKey::from_bytes(Zeroizing::new(root_key)).expect("not text, not equal");
    let kms = Arc::new(LocalKms::new(checked, random.clone()));
    let wrapping_key = crypto::hkdf::<32>(&[], &root_key, b"keybearer/kms-local/v1");
    vectors.bytes("root_key", &root_key);
    vectors.bytes("kms_key", &*wrapping_key);
    vectors.text("kms_key_id", kms.key_id());

    let deployment = DeploymentId::from_bytes(counting(0x10));
    let owner = KeyOwner::Workspace(WorkspaceId::from_bytes(counting(0x20)));
    let data_key_id = DataKeyId::from_bytes(counting(0x30));
    let context = KeyContext {
        owner,
        key: ProviderKeyId::from_bytes(counting(0x40)),
        provider: "openai".parse().expect("an id"),
        base_url: "https://api.openai.com/v1".to_owned(),
        auth_header: "authorization".to_owned(),
        version: 1,
    };
    vectors.text("deployment", deployment);
    vectors.text("owner", owner);
    vectors.text("data_key_id", data_key_id);
    vectors.bytes("data_key_id_bytes", data_key_id.bytes());
    vectors.text("provider_key_id", context.key);

    let deployment_key = counting::<32>(0x60);
    let deployment_aad = aad::deployment_key(deployment);
    let deployment_wrapped = now(kms.wrap(&deployment_key, &deployment_aad)).expect("wraps");
    vectors.bytes("deployment_key", &deployment_key);
    vectors.bytes("deployment_key_aad", &deployment_aad);
    vectors.bytes("deployment_key_wrapped", &deployment_wrapped);

    let data_key = counting::<32>(0x80);
    let data_key_aad = aad::data_key(deployment, owner, data_key_id);
    let data_key_wrapped = now(kms.wrap(&data_key, &data_key_aad)).expect("wraps");
    vectors.bytes("data_key", &data_key);
    vectors.bytes("data_key_aad", &data_key_aad);
    vectors.derived(
        ["data_key_wrap_key", "data_key_wrap_commitment"],
        &kms_fresh[1].salt,
        &*wrapping_key,
        "keybearer/kms-local/wrap/v1",
    );
    vectors.bytes("data_key_wrapped", &data_key_wrapped);

    let seal_private = counting::<32>(0xa0);
    let seal_public = seal::public_key(&seal_private);
    let kek_id = seal::kek_id(&seal_public);
    let seal_aad = aad::sealing_key(deployment, &kek_id);
    let seal_wrapped = now(kms.wrap(&seal_private, &seal_aad)).expect("wraps");
    let seal_stored = with_key_id(kms.key_id(), &seal_wrapped);
    vectors.bytes("seal_private", &seal_private);
    vectors.bytes("seal_public", &seal_public);
    vectors.text("kek_id", &kek_id);
    vectors.bytes("sealing_key_aad", &seal_aad);
    vectors.bytes("sealing_key_stored", &seal_stored);

    let ephemeral = counting::<32>(0xc0);
    let raw = seal::seal_with(&seal_public, KEY, ephemeral.into()).expect("a good key");
    let raw = STANDARD.encode(raw);
    let box_context = BoxContext {
        node: deployment,
        owner,
        provider: &context.provider,
        base_url: &context.base_url,
        issued_at: NOW,
        jti: counting(0xf0),
    };
    let content = box_v1::write(KEY, &box_context);
    let v1 = seal::seal_with(&seal_public, &content, ephemeral.into()).expect("a good key");
    let v1 = STANDARD.encode(v1);
    vectors.bytes("ephemeral_private", &ephemeral);
    vectors.bytes("ephemeral_public", &seal::public_key(&ephemeral));
    vectors.text("key", String::from_utf8_lossy(KEY));
    vectors.text("raw_box", &raw);
    let json = String::from_utf8_lossy(&content).trim_end().to_owned();
    vectors.text("v1_content", json);
    vectors.text("v1_content_bytes", content.len());
    vectors.text("v1_box", &v1);

    let sealing = fresh(0x70);
    let binding = Binding {
        data_key: &crate::cache::DataKey::new(zeroize::Zeroizing::new(data_key)),
        data_key_id,
        deployment,
        context: &context,
    };
    let sealed = binding.seal(KEY, &sealing);
    vectors.derived(
        ["envelope_key", "envelope_commitment"],
        &sealing.salt,
        &data_key,
        "keybearer/byok/v1",
    );
    let mut fields = aad::provider_key(deployment, &context, data_key_id);
    aad::append(&mut fields, &sealed[..envelope::HEADER_BYTES + 32]);
    vectors.bytes("envelope_aad", &fields);
    vectors.bytes("envelope", &sealed);

    // The records, read by the parts that serve.
    let sources = Sources {
        clock: Clock::new(|| NOW),
        random: scripted(&[&sealing, &sealing]),
    };
    let deployment_record = DeploymentRecord {
        id: deployment,
        kms_key: kms.key_id().to_owned(),
        wrapped_key: deployment_wrapped,
        created_at: NOW,
    };
    let data_key_record = DataKeyRecord {
        id: data_key_id,
        owner,
        kms_key: kms.key_id().to_owned(),
        wrapped: data_key_wrapped,
        created_at: NOW,
    };
    let sealing_key_record = SealingKeyRecord {
        kek_id: kek_id.clone(),
        public_key: seal_public,
        wrapped_private: seal_stored,
        created_at: NOW,
        expires_at: NOW,
    };
    let root = now(Root::open(kms, sources, &deployment_record)).expect("opens");
    for (name, ciphertext_b64, raw_box) in [
        ("raw_box_replay_hash", &raw, RawBox::Accept),
        ("v1_box_replay_hash", &v1, RawBox::Refuse),
    ] {
        let submission = Submission {
            kek_id: &kek_id,
            ciphertext_b64,
        };
        let rules = IntakeRules { now: NOW, raw_box };
        let accepted = now(root.intake().accept(
            &sealing_key_record,
            &submission,
            &rules,
            &context,
            &data_key_record,
        ));
        let accepted = accepted.expect("a good box");
        assert_eq!(accepted.envelope, sealed);
        vectors.bytes(name, &accepted.replay.expect("boxes are taken once"));
    }
    let opened = now(root.opener().open(&sealed, &context, &data_key_record));
    assert!(opened.is_ok_and(|key| key.expose(|key| key == KEY)));
    let hash = root.hasher().hash(HashPurpose::ApiKey, b"kb_example");
    vectors.bytes("api_key_hash_of_kb_example", &hash);

    let missing: Vec<_> = vectors
        .0
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .filter(|line| DOCUMENT.lines().all(|known| known != line))
        .collect();
    assert!(
        missing.is_empty(),
        "not in docs/vault-format.md:\n{}",
        missing.join("\n")
    );
    let (_, section) = DOCUMENT.split_once("## Test vectors").expect("a section");
    let known = section.lines().filter(|line| line.contains(" = ")).count();
    assert_eq!(known, vectors.0.len(), "a vector that nothing checks");
}
