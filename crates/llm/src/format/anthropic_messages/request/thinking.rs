//! How the model is asked to think, and with which effort.

use crate::neutral::{NotTranslatable, Object, Part, Proof, Request, Role, ToolChoice, Warnings};
use crate::provider::Thinking;
use crate::translate::effort_of;

use super::write::Written;

/// The least budget that the format takes.
const LEAST_BUDGET: u64 = 1_024;

/// What a request says of it.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) thinking: Option<Object>,
    pub(super) effort: Option<&'static str>,
}

/// What to say to a model that is asked so. `max_tokens`: of thoughts and answer together.
pub(super) fn asked(
    request: &Request,
    how: Thinking,
    max_tokens: u64,
    warnings: &mut Warnings,
) -> Written<Asked> {
    let reasoning = &request.reasoning;
    let effort = effort(request, warnings)?;
    if reasoning.effort.as_deref() == Some("none") {
        return Ok(not_at_all(how, warnings));
    }
    if !reasoning.wanted() {
        if reasoning.summary.is_some() {
            warnings.dropped("summary");
        }
        return Ok(Asked::default());
    }
    let display = reasoning.summary.as_ref().map(|_| "summarized");
    match how {
        // With it, turns without their thinking are taken, too.
        Thinking::Adaptive | Thinking::Always => Ok(Asked {
            thinking: Some(Object::typed("adaptive").maybe("display", display)),
            effort: effort.or_else(|| {
                let word = effort_of(reasoning.budget_tokens?);
                warnings.changed("approximated", "thinking");
                Some(word)
            }),
        }),
        Thinking::Budget | Thinking::BudgetAlways => {
            Ok(match budget(request, effort, max_tokens) {
                Some(tokens) => {
                    if reasoning.budget_tokens.is_none() {
                        warnings.changed("approximated", "reasoning_effort");
                    }
                    let thinking = Object::typed("enabled").with("budget_tokens", tokens);
                    Asked {
                        thinking: Some(thinking),
                        effort: None,
                    }
                }
                None => {
                    warnings.dropped("reasoning_effort");
                    Asked::default()
                }
            })
        }
        Thinking::Never => {
            warnings.dropped("reasoning_effort");
            Ok(Asked::default())
        }
    }
}

fn not_at_all(how: Thinking, warnings: &mut Warnings) -> Asked {
    match how {
        Thinking::Adaptive | Thinking::Budget => Asked {
            thinking: Some(Object::typed("disabled")),
            effort: None,
        },
        // As little as can be said.
        Thinking::Always => {
            warnings.changed("approximated", "reasoning_effort");
            Asked {
                thinking: None,
                effort: Some("low"),
            }
        }
        // Without a budget it thinks as little as it can.
        Thinking::BudgetAlways => {
            warnings.changed("approximated", "reasoning_effort");
            Asked::default()
        }
        Thinking::Never => Asked::default(),
    }
}

fn effort(request: &Request, warnings: &mut Warnings) -> Written<Option<&'static str>> {
    Ok(match request.reasoning.effort.as_deref() {
        Some("none") | None => None,
        Some("minimal") => {
            warnings.changed("approximated", "reasoning_effort");
            Some("low")
        }
        Some("low") => Some("low"),
        Some("medium") => Some("medium"),
        Some("high") => Some("high"),
        Some("xhigh") => Some("xhigh"),
        Some("max") => Some("max"),
        Some(_) => {
            let why = "this word has no counterpart";
            return Err(NotTranslatable::new("reasoning_effort", why));
        }
    })
}

/// The budget that stands for the effort, and leaves half of the tokens to the answer. `None`: the format takes none
/// here.
fn budget(request: &Request, effort: Option<&str>, max_tokens: u64) -> Option<u64> {
    let forced = matches!(
        request.tool_choice,
        Some(ToolChoice::Any | ToolChoice::Named(_))
    );
    if forced || lacks_thinking(request) {
        return None;
    }
    // What `translate::effort_of` takes for the same words.
    let tokens = match (request.reasoning.budget_tokens, effort) {
        (Some(tokens), _) => tokens,
        (None, Some("low")) => 4_096,
        (None, Some("high")) => 24_576,
        (None, Some("xhigh" | "max")) => 32_768,
        (None, _) => 16_384,
    };
    let tokens = tokens.min(max_tokens / 2);
    (tokens >= LEAST_BUDGET).then_some(tokens)
}

/// Whether a call of a tool comes back without what the model thought before it, which the format refuses beside a budget.
/// Thoughts that others proved are left out, so they do not count.
fn lacks_thinking(request: &Request) -> bool {
    let of_model = request.turns.iter().filter(|it| it.role == Role::Assistant);
    let mut lacking = of_model.filter(|turn| {
        let calls = turn.parts.iter().any(|it| matches!(it, Part::Call(_)));
        let thought = |part: &Part| match part {
            Part::Thinking(thinking) => {
                let proof = thinking.proof.as_ref();
                proof.is_some_and(|it| matches!(it, Proof::Signature(_) | Proof::Sealed(_)))
            }
            _ => false,
        };
        calls && !turn.parts.iter().any(thought)
    });
    lacking.next().is_some()
}
