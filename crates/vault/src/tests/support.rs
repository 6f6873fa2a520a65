//! One deployment with one workspace's key, time that stands still, and a KMS that counts.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use domain::record::{DataKeyRecord, DeploymentRecord, KeyContext, SealingKeyRecord};
use domain::{
    Clock, KeyOwner, ProviderKeyId, Random, RandomError, Secret, Sources, Timestamp, WorkspaceId,
};
use zeroize::Zeroizing;

use crate::kms::local::LocalKms;
use crate::seal::BoxContext;
use crate::{
    Accepted, BoxFuture, Intake, IntakeRules, Kms, KmsError, Opener, RawBox, Root, RootKey,
    Rotator, Submission,
};

/// 2026-11-20T12:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_176_000_000);
pub(crate) const KEY: &[u8] = b"sk-proj-0123456789abcdefghijWXYZ";

/// Runs a future that never waits: nothing in the vault does but a remote KMS.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the local KMS answers at once"),
    }
}

pub(crate) fn random() -> Random {
    Random::new(|buffer| aws_lc_rs::rand::fill(buffer).map_err(|_| RandomError))
}

/// Fails at the draw with this number, counted from 0.
pub(crate) fn random_failing_at(draw: usize) -> Random {
    let drawn = AtomicUsize::new(0);
    Random::new(move |buffer| {
        if drawn.fetch_add(1, Ordering::Relaxed) == draw {
            return Err(RandomError);
        }
        aws_lc_rs::rand::fill(buffer).map_err(|_| RandomError)
    })
}

pub(crate) fn root_key(seed: u8) -> RootKey {
    let bytes = Zeroizing::new(std::array::from_fn(|i| seed.wrapping_add(i as u8)));
    RootKey::from_bytes(bytes).expect("counting bytes are neither equal nor text")
}

pub(crate) fn local_kms(seed: u8) -> LocalKms {
    LocalKms::new(root_key(seed), random())
}

/// A local KMS that counts how often it unwraps.
pub(crate) struct CountingKms {
    inner: LocalKms,
    pub(crate) unwraps: AtomicUsize,
}

impl Kms for CountingKms {
    fn key_id(&self) -> &str {
        self.inner.key_id()
    }

    fn wrap<'a>(
        &'a self,
        key: &'a [u8; 32],
        aad: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, KmsError>> {
        self.inner.wrap(key, aad)
    }

    fn unwrap<'a>(
        &'a self,
        wrapped: &'a [u8],
        aad: &'a [u8],
    ) -> BoxFuture<'a, Result<Zeroizing<[u8; 32]>, KmsError>> {
        self.unwraps.fetch_add(1, Ordering::Relaxed);
        self.inner.unwrap(wrapped, aad)
    }
}

pub(crate) struct World {
    pub(crate) kms: Arc<CountingKms>,
    pub(crate) time_ms: Arc<AtomicI64>,
    pub(crate) sources: Sources,
    pub(crate) root: Root,
    pub(crate) deployment: DeploymentRecord,
    pub(crate) intake: Intake,
    pub(crate) opener: Opener,
    pub(crate) rotator: Rotator,
    pub(crate) sealing_key: SealingKeyRecord,
    pub(crate) data_key: DataKeyRecord,
    pub(crate) context: KeyContext,
}

impl World {
    pub(crate) fn new() -> Self {
        let time_ms = Arc::new(AtomicI64::new(NOW.millis()));
        let clock = Arc::clone(&time_ms);
        let sources = Sources {
            clock: Clock::new(move || Timestamp::from_millis(clock.load(Ordering::Relaxed))),
            random: random(),
        };
        let kms = Arc::new(CountingKms {
            inner: local_kms(1),
            unwraps: AtomicUsize::new(0),
        });
        let (root, deployment) =
            now(Root::create(Arc::clone(&kms) as _, sources.clone())).expect("a new deployment");
        let rotator = root.rotator();
        let context = context(workspace(1));
        Self {
            sealing_key: now(rotator.new_sealing_key(1000)).expect("a sealing key"),
            data_key: now(rotator.new_data_key(context.owner)).expect("a data key"),
            intake: root.intake(),
            opener: root.opener(),
            kms,
            time_ms,
            sources,
            root,
            deployment,
            rotator,
            context,
        }
    }

    /// The envelope of [`KEY`] in this world's context.
    pub(crate) fn envelope(&self) -> Vec<u8> {
        self.plain(KEY, &self.context, &self.data_key)
    }

    pub(crate) fn plain(
        &self,
        key: &[u8],
        context: &KeyContext,
        data_key: &DataKeyRecord,
    ) -> Vec<u8> {
        let key = Secret::new(key.to_vec());
        let accepted = now(self.intake.accept_plain(key, context, data_key));
        accepted.expect("a good key").envelope
    }

    pub(crate) fn open(&self, envelope: &[u8]) -> Result<Vec<u8>, crate::OpenError> {
        self.open_in(envelope, &self.context, &self.data_key)
    }

    pub(crate) fn open_in(
        &self,
        envelope: &[u8],
        context: &KeyContext,
        data_key: &DataKeyRecord,
    ) -> Result<Vec<u8>, crate::OpenError> {
        now(self.opener.open(envelope, context, data_key)).map(|key| key.expose(<[u8]>::to_vec))
    }

    /// What a client puts into a box of version 1 for this world's key.
    pub(crate) fn box_context(&self) -> BoxContext<'_> {
        BoxContext {
            node: self.deployment.id,
            owner: self.context.owner,
            provider: &self.context.provider,
            base_url: &self.context.base_url,
            issued_at: NOW,
            jti: [7; 16],
        }
    }

    /// Submits a box that is sealed to the active key, for this world's context.
    pub(crate) fn submit(
        &self,
        ciphertext_b64: &str,
        raw_box: RawBox,
    ) -> Result<Accepted, crate::IntakeError> {
        self.submit_as(&self.sealing_key.kek_id, ciphertext_b64, raw_box)
    }

    pub(crate) fn submit_as(
        &self,
        kek_id: &str,
        ciphertext_b64: &str,
        raw_box: RawBox,
    ) -> Result<Accepted, crate::IntakeError> {
        let submission = Submission {
            kek_id,
            ciphertext_b64,
        };
        let rules = IntakeRules { now: NOW, raw_box };
        now(self.intake.accept(
            &self.sealing_key,
            &submission,
            &rules,
            &self.context,
            &self.data_key,
        ))
    }
}

pub(crate) fn workspace(seed: u8) -> KeyOwner {
    KeyOwner::Workspace(WorkspaceId::from_bytes([seed; 16]))
}

pub(crate) fn context(owner: KeyOwner) -> KeyContext {
    KeyContext {
        owner,
        key: ProviderKeyId::from_bytes([2; 16]),
        provider: "openai".parse().expect("a provider id"),
        base_url: "https://api.openai.com/v1".to_owned(),
        auth_header: "authorization".to_owned(),
        version: 1,
    }
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::from_text(text.to_owned())
}
