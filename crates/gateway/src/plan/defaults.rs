//! What a preset says in the place of the request.

use domain::preset::{Parameters, PresetName};
use llm::defaults::{self, Target};
use llm::head;
use llm::provider::{Provider, Thinking};

use super::way::Way;
use crate::Plane;
use crate::admit::Admitted;
use crate::endpoint::{self, Takes};
use crate::error::Failure;
use crate::snapshot::View;

/// What the preset says, if it says anything.
pub(super) fn said<'a>(view: &'a View, preset: &PresetName) -> Option<&'a Parameters> {
    let preset = view.caller.record.policy.presets.get(preset)?;
    Some(&preset.parameters).filter(|it| !it.is_empty())
}

/// Writes what the preset says to the request, where that leaves it unsaid. Only generating text has words for it.
///
/// They are those of the first way where a format has several.
pub(super) fn write(
    plane: &Plane,
    admitted: &mut Admitted,
    preset: &PresetName,
    ways: &[Way],
) -> Result<(), Failure> {
    let call = admitted.call;
    let Some(parameters) = said(&admitted.view, preset) else {
        return Ok(());
    };
    if !endpoint::is_main(call) || call.takes != [Takes::Json] {
        return Ok(());
    }
    let target = ways.first().map(|way| target(plane, admitted, way));
    let body = &mut admitted.body;
    let changed = defaults::with_defaults(
        call.format,
        &body.bytes,
        parameters,
        target.unwrap_or_default(),
    );
    if changed.len() == body.bytes.len() {
        return Ok(());
    }
    if let Some(room) = &mut body.room {
        room.grow(changed.len())?;
    }
    // What stands behind what was added stands elsewhere now.
    let head = match call.action() {
        Some(_) => head::read_beside(&changed, &admitted.head.model, call.streams()),
        None => head::read(&changed),
    };
    admitted.head = head.map_err(Failure::InvalidRequest)?;
    body.bytes = changed;
    Ok(())
}

fn target(plane: &Plane, admitted: &Admitted, way: &Way) -> Target {
    let provider = plane.registry.get(&way.target.provider);
    let is_own = way.speaks == admitted.call.format;
    let thinking = provider.map(|it| it.thinking(&way.target.model));
    Target {
        token_limit: provider.map(Provider::token_limit).unwrap_or_default(),
        // What is translated is told so by the translation.
        thinking: match thinking.unwrap_or_default() {
            thinking if is_own || thinking == Thinking::Never => thinking,
            _ => Thinking::default(),
        },
    }
}
