//! Generation runs: a prompt, its steps in order, and how they end.
//!
//! A run is all or nothing: a step that fails fails the run. What a step made is kept before the next one begins, so
//! that whoever goes on with a run begins at the first step that has not succeeded.

use serde::{Deserialize, Serialize};

use crate::id::{ProviderKeyId, RequestId};
use crate::key::{KeyScope, Label, ProviderId};
use crate::policy::{KeySource, Tier, words};

words! {
    /// How far a run has come.
    RunStatus("status of a run") {
        /// It waits for a worker.
        Pending = "pending",
        /// A worker has it.
        Running = "running",
        /// Every step succeeded; there is a document.
        Succeeded = "succeeded",
        /// A step failed.
        Failed = "failed",
        /// Somebody stopped it.
        Cancelled = "cancelled",
    }

    /// How far a step has come.
    StepStatus("status of a step") {
        /// It has not begun.
        Pending = "pending",
        /// It was begun.
        Running = "running",
        /// Its result is kept.
        Succeeded = "succeeded",
        /// It failed, and the run with it.
        Failed = "failed",
    }

    /// What a run makes.
    OutputType("type of output") {
        /// A text in Markdown, by the run's model.
        Script = "script",
        /// Pictures, by the instance's image models.
        Image = "image",
    }

    /// Who may read a run beside the person who made it.
    Visibility("visibility") {
        /// Nobody.
        Private = "private",
        /// Every member of the workspace.
        Workspace = "workspace",
        /// Every member, and whoever has the link.
        Link = "link",
    }
}

impl RunStatus {
    /// Whether nothing more happens by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// The most pictures of a run.
pub const MAX_IMAGES: usize = 4;
/// How often a step is begun before it counts as failed: each time may have been paid for.
pub const MAX_BEGUN: u32 = 5;
/// The longest prompt, in characters.
pub const MAX_PROMPT_CHARS: usize = 8_000;

/// The model and the key that were chosen when the run was made. Nothing else serves its script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// What was asked for.
    pub requested: String,
    /// The tier that the account's plan must open for it: the one that was asked for, or that a preset stands for. None:
    /// none is asked for, or it was somebody else's choice.
    #[serde(default)]
    pub tier: Option<Tier>,
    /// The provider.
    pub provider: ProviderId,
    /// The provider's own name of the model.
    pub model: String,
    /// Who pays.
    pub source: KeySource,
    /// The own key; none: the instance's keys serve.
    pub key: Option<ProviderKeyId>,
    /// What the own key was called.
    pub label: Option<Label>,
    /// Whose the own key was: it says who may see the label. None: it is not known, and nobody may.
    #[serde(default)]
    pub owner: Option<KeyScope>,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepFailure {
    /// The code, as a call of the data plane answers it, or one of runs alone.
    pub code: String,
    /// What happened, for people. It is shown to all who may read the run, and names no label of a key.
    pub message: String,
    /// What to do about it.
    #[serde(default)]
    pub hint: Option<String>,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What it makes.
    pub output: OutputType,
    /// How far it has come.
    pub status: StepStatus,
    /// How often a worker began it since the run was made or tried again.
    #[serde(default)]
    pub begun: u32,
    /// How many calls were made for it, by the worker that had it last.
    pub attempts: u32,
    /// The provider of the last call.
    pub provider: Option<ProviderId>,
    /// The provider's own name of its model.
    pub model: Option<String>,
    /// Who paid for it, or would have.
    pub source: Option<KeySource>,
    /// Its id, the same as in the usage.
    pub request: Option<RequestId>,
    /// When it began, in milliseconds since 1970.
    pub started_at_ms: Option<i64>,
    /// When it ended, in milliseconds since 1970.
    pub ended_at_ms: Option<i64>,
    /// Why it failed.
    pub failure: Option<StepFailure>,
}

impl Step {
    /// A step that has not begun.
    pub fn pending(output: OutputType) -> Self {
        Self {
            output,
            status: StepStatus::Pending,
            begun: 0,
            attempts: 0,
            provider: None,
            model: None,
            source: None,
            request: None,
            started_at_ms: None,
            ended_at_ms: None,
            failure: None,
        }
    }
}

/// What a run is made of beside its prompt and its results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPlan {
    /// Who writes the script; none: there is none.
    pub pinned: Option<Pinned>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// How often it was tried anew.
    pub retries: u32,
}

impl RunPlan {
    /// The plan of a run that writes a script if somebody is `pinned` for it, and makes so many pictures.
    pub fn new(pinned: Option<Pinned>, images: usize) -> Self {
        let script = pinned.iter().map(|_| OutputType::Script);
        let images = std::iter::repeat_n(OutputType::Image, images);
        Self {
            steps: script.chain(images).map(Step::pending).collect(),
            pinned,
            retries: 0,
        }
    }

    /// Where to go on: the first step that has not succeeded.
    pub fn next(&self) -> Option<usize> {
        let mut steps = self.steps.iter();
        steps.position(|step| step.status != StepStatus::Succeeded)
    }

    /// The failure of the step that failed.
    pub fn failure(&self) -> Option<(usize, &StepFailure)> {
        let mut steps = self.steps.iter().enumerate();
        steps.find_map(|(at, step)| Some((at, step.failure.as_ref()?)))
    }

    /// The plan for another try: what succeeded stays.
    #[must_use]
    pub fn again(mut self) -> Self {
        for step in &mut self.steps {
            if step.status != StepStatus::Succeeded {
                *step = Step::pending(step.output);
            }
        }
        self.retries = self.retries.saturating_add(1);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_on_where_it_stopped_and_keeps_what_succeeded() {
        let mut plan = RunPlan::new(None, 2);
        assert_eq!(plan.next(), Some(0));
        plan.steps[0].status = StepStatus::Succeeded;
        plan.steps[1].status = StepStatus::Failed;
        plan.steps[1].failure = Some(StepFailure {
            code: "a".to_owned(),
            message: "b".to_owned(),
            hint: None,
        });
        assert_eq!(plan.failure().map(|(at, _)| at), Some(1));
        let again = plan.again();
        assert_eq!(
            (again.next(), again.failure(), again.retries),
            (Some(1), None, 1)
        );
        assert_eq!(again.steps[0].status, StepStatus::Succeeded);
    }

    #[test]
    fn plans_read_back() {
        let pinned = Pinned {
            requested: "@fast".to_owned(),
            tier: Some(Tier::Level2),
            provider: "openai".parse().expect("an id"),
            model: "m".to_owned(),
            source: KeySource::Byok,
            key: Some(ProviderKeyId::from_bytes([1; 16])),
            label: Some("prod".parse().expect("a label")),
            owner: Some(KeyScope::Account),
        };
        let plan = RunPlan::new(Some(pinned), 1);
        assert_eq!(plan.steps.len(), 2);
        let text = serde_json::to_string(&plan).expect("plain data");
        assert_eq!(serde_json::from_str::<RunPlan>(&text).expect("reads"), plan);
        // One that was stored before these fields were there.
        let text = text.replace(r#","owner":"account""#, "");
        let text = text.replace(r#""tier":"level_2","#, "");
        let text = text.replace(r#""begun":0,"#, "");
        let old: RunPlan = serde_json::from_str(&text).expect("reads");
        assert_eq!(old.pinned.map(|it| (it.owner, it.tier)), Some((None, None)));
        assert_eq!(old.steps, plan.steps);
    }
}
