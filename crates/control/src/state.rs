//! What the control plane works with.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use domain::{DeploymentId, Sources, Timestamp};
use ipnet::IpNet;
use llm::registry::Registry;
use store::Store;
use tokio::sync::{Notify, watch};
use vault::{Hasher, Intake, KeyProbe, Releaser, Rotator};

use crate::auth::console_link::Offer;
use crate::auth::pace::Pace;
use crate::auth::password::Passwords;
use crate::auth::throttle::{Guesses, Throttle};
use crate::models::ModelCalls;
use crate::ops::live::Streams;
use crate::ops::runs::reading::Desk;

/// How provider keys may be submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubmissionPolicy {
    /// In a sealed box only.
    SealedOnly,
    /// In a sealed box, or in plain text over loopback or TLS.
    Both,
}

/// Whether a provider is asked about a key before it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbePolicy {
    /// Always; a key that the provider does not accept is not stored.
    Required,
    /// Never; for installations without a way out.
    Off,
}

/// The options of the control plane.
#[derive(Debug, Clone)]
pub struct ControlConfig {
    /// How provider keys may be submitted.
    pub submission: SubmissionPolicy,
    /// Whether keys are tried before they are stored.
    pub probe: ProbePolicy,
    /// Whether a key may have a base URL of its own.
    pub custom_base_urls: bool,
    /// Addresses that are not public and may be in a base URL all the same.
    pub allow_addresses: Vec<IpNet>,
    /// Whether a proxy in front ends TLS and sets `X-Forwarded-Proto` itself.
    pub trust_forwarded_proto: bool,
    /// The only values of `Host` that are answered, in lower case with the port; `None`: any.
    pub allowed_hosts: Option<Vec<String>>,
    /// How long a sealing key stays the current one.
    pub sealing_key_lifetime_ms: i64,
    /// The pauses before the second and the third call that a model gets for a picture.
    pub image_pauses_ms: [u64; 2],
}

impl ControlConfig {
    /// 90 days.
    pub const SEAL_KEY_LIFETIME_MS: i64 = 90 * 24 * 60 * 60 * 1000;
    /// Two seconds, then four.
    pub const IMAGE_PAUSES_MS: [u64; 2] = [2_000, 4_000];
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self {
            submission: SubmissionPolicy::Both,
            probe: ProbePolicy::Required,
            custom_base_urls: false,
            allow_addresses: Vec::new(),
            trust_forwarded_proto: false,
            allowed_hosts: None,
            sealing_key_lifetime_ms: Self::SEAL_KEY_LIFETIME_MS,
            image_pauses_ms: Self::IMAGE_PAUSES_MS,
        }
    }
}

/// How the data plane of a process fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// How many calls run, or have ended and are not yet written to the database.
    pub calls: usize,
    /// How many there may be.
    pub calls_limit: usize,
    /// The length of the files that hold usage until the database has it.
    pub spool_bytes: u64,
    /// How long they may become.
    pub spool_limit_bytes: u64,
    /// Whether the disk took what was last written to them.
    pub spool_ready: bool,
}

/// Everything that an operation can reach. Cheap to clone.
///
/// There is no way here to a stored provider key: the parts of the vault are the one that takes keys in,
/// the one that makes and re-wraps keys, the one that seals a key to somebody else, and the keyed hash.
#[derive(Clone)]
pub struct ControlState(Arc<Parts>);

/// The parts behind a [`ControlState`].
pub struct Parts {
    pub(crate) config: ControlConfig,
    pub(crate) store: Store,
    pub(crate) intake: Intake,
    pub(crate) rotator: Rotator,
    pub(crate) releaser: Releaser,
    pub(crate) hasher: Hasher,
    pub(crate) probe: Arc<dyn KeyProbe>,
    pub(crate) models: Arc<dyn ModelCalls>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) sources: Sources,
    pub(crate) deployment: DeploymentId,
    pub(crate) passwords: Passwords,
    pub(crate) guesses: Guesses,
    pub(crate) submissions: Throttle,
    /// Bounds how often a workspace's keys are handed out, or refused to be.
    pub(crate) releases: Throttle,
    /// Bounds the log-ins that programs begin, which anybody can.
    pub(crate) device_logins: Throttle,
    /// How often those programs ask whether they were let in.
    pub(crate) device_pace: Pace,
    /// Bounds the audit rows of credentials that belong to nobody, which anybody can show.
    pub(crate) refusals: Throttle,
    /// When this process began.
    pub(crate) started_at: Timestamp,
    /// When it was last tidied up, in milliseconds since 1970; 0: not yet.
    tidied_at_ms: AtomicI64,
    /// How the data plane beside it fares; unset: there is none.
    traffic: OnceLock<Box<dyn Fn() -> Traffic + Send + Sync>>,
    /// Whether the instance serves one person on one machine.
    local: AtomicBool,
    /// Those who listen to what happens.
    pub(crate) streams: Streams,
    /// Those who read documents.
    pub(crate) desk: Desk,
    /// Becomes `true` when the server stops: streams would never end by themselves, and runs begin no step.
    pub(crate) stopping: watch::Sender<bool>,
    /// The keyed hash of the set-up credential of this start, while there is no user.
    pub(crate) setup: Mutex<Option<[u8; 32]>>,
    /// The link into the console that was made last, while it is good; of a local instance alone.
    pub(crate) console_link: Mutex<Option<Offer>>,
    /// Told when a run waits for the worker.
    pub(crate) runs: Notify,
}

impl ControlState {
    /// Puts the parts together.
    #[expect(
        clippy::too_many_arguments,
        reason = "called once, by the binary, which owns every part"
    )]
    pub fn new(
        config: ControlConfig,
        store: Store,
        intake: Intake,
        rotator: Rotator,
        releaser: Releaser,
        hasher: Hasher,
        probe: Arc<dyn KeyProbe>,
        models: Arc<dyn ModelCalls>,
        registry: Arc<Registry>,
        sources: Sources,
        deployment: DeploymentId,
    ) -> Self {
        const QUARTER_HOUR_MS: i64 = 15 * 60 * 1000;
        Self(Arc::new(Parts {
            passwords: Passwords::new(sources.random.clone()),
            guesses: Guesses::new(10, QUARTER_HOUR_MS),
            submissions: Throttle::new(100, QUARTER_HOUR_MS),
            releases: Throttle::new(100, QUARTER_HOUR_MS),
            device_logins: Throttle::new(20, QUARTER_HOUR_MS),
            device_pace: Pace::default(),
            refusals: Throttle::new(1000, QUARTER_HOUR_MS),
            started_at: sources.now(),
            tidied_at_ms: AtomicI64::new(0),
            traffic: OnceLock::new(),
            local: AtomicBool::new(false),
            streams: Streams::default(),
            desk: Desk::default(),
            stopping: watch::Sender::new(false),
            setup: Mutex::new(None),
            console_link: Mutex::new(None),
            runs: Notify::new(),
            models,
            config,
            store,
            intake,
            rotator,
            releaser,
            hasher,
            probe,
            registry,
            sources,
            deployment,
        }))
    }

    /// Says how the data plane of this process can be asked how it fares; the first time counts.
    pub fn watch_traffic(&self, traffic: impl Fn() -> Traffic + Send + Sync + 'static) {
        let _ = self.traffic.set(Box::new(traffic));
    }

    /// How the data plane of this process fares, where there is one.
    pub(crate) fn traffic(&self) -> Option<Traffic> {
        self.traffic.get().map(|traffic| traffic())
    }

    /// Says that what grows by itself was tidied up.
    pub(crate) fn tidied(&self) {
        let now = self.sources.now().millis();
        self.tidied_at_ms.store(now, Ordering::Relaxed);
    }

    /// When that was last so.
    pub(crate) fn tidied_at(&self) -> Option<Timestamp> {
        let at = self.tidied_at_ms.load(Ordering::Relaxed);
        (at > 0).then(|| Timestamp::from_millis(at))
    }

    /// Says that the instance serves one person on one machine.
    pub(crate) fn be_local(&self) {
        self.local.store(true, Ordering::Relaxed);
    }

    /// Whether it does.
    pub(crate) fn is_local(&self) -> bool {
        self.local.load(Ordering::Relaxed)
    }

    /// Ends the streams of those who listen, so that the server can stop.
    pub fn end_streams(&self) {
        self.stopping.send_replace(true);
    }
}

impl std::ops::Deref for ControlState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
