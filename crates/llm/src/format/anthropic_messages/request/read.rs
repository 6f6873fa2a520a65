//! The client speaks Anthropic's messages.

use serde_json::value::RawValue;

use super::turns;
use crate::neutral::{
    Fields, NotTranslatable, Part, Reasoning, Request, Role, Shape, Tool, ToolChoice, Turn,
    Warnings, whole,
};

type Read<T> = Result<T, NotTranslatable>;

/// Fields that choose what no other format can, and that change what comes back.
const REFUSED: [(&str, &str); 5] = [
    ("container", "it names something at this provider"),
    ("fallbacks", "it names models of this provider"),
    ("inference_geo", "no other provider promises a place"),
    ("mcp_servers", "it is this provider's own tool"),
    ("output_format", "use `output_config.format`"),
];

pub(in super::super) fn read(body: &[u8], warnings: &mut Warnings) -> Read<Request> {
    let mut fields = Fields::of(whole(body)?, "")?;
    for (name, why) in REFUSED {
        let given = fields.take(name);
        if given.is_some_and(|raw| raw.get() != "[]") {
            return Err(NotTranslatable::new(name, why));
        }
    }
    let mut request = Request::new(fields.needed_text("model")?);
    request.stream = fields.flag("stream")?.unwrap_or(false);
    if let Some(system) = fields.take("system") {
        let parts = turns::contents(system, "system", warnings)?;
        request.turns.push(Turn::new(Role::System, parts));
    }
    for message in fields.list("messages")?.unwrap_or_default() {
        request.turns.push(turns::turn(message, warnings)?);
    }
    for raw in fields.list("tools")?.unwrap_or_default() {
        request.tools.push(tool(raw, warnings)?);
    }
    if let Some(choice) = fields.object("tool_choice")? {
        tool_choice(choice, &mut request, warnings)?;
    }
    if let Some(thinking) = fields.object("thinking")? {
        request.reasoning = reasoning(thinking, warnings)?;
    }
    if let Some(config) = fields.object("output_config")? {
        output_config(config, &mut request, warnings)?;
    }
    request.max_output_tokens = fields.amount("max_tokens")?;
    request.temperature = fields.number("temperature")?;
    request.top_p = fields.number("top_p")?;
    for raw in fields.list("stop_sequences")?.unwrap_or_default() {
        let sequence = crate::neutral::text(raw);
        let wrong = NotTranslatable::new("stop_sequences", "it must be a list of texts");
        request.stop_sequences.push(sequence.ok_or(wrong)?);
    }
    if let Some(mut metadata) = fields.object("metadata")? {
        request.user = metadata.text("user_id")?;
        metadata.leave(warnings);
    }
    let top_k = fields.take("top_k");
    request
        .extras
        .extend(top_k.map(|raw| ("top_k", raw.to_owned())));
    fields.leave(warnings);
    if request
        .turns
        .iter()
        .flat_map(|turn| &turn.parts)
        .any(|part| matches!(part, Part::Thinking(_)))
    {
        request.reasoning.proofs = true;
    }
    Ok(request)
}

/// The client's own tools; those that run at the provider, or that its models know without a schema, have no
/// counterpart.
fn tool(raw: &RawValue, warnings: &mut Warnings) -> Read<Tool> {
    let mut fields = Fields::of(raw, "tools")?;
    let kind = fields.kind()?;
    if !(kind.is_empty() || kind == "custom") {
        return Err(fields.wrong("type", "it is this provider's own tool"));
    }
    let tool = Tool {
        name: fields.needed_text("name")?,
        description: fields.text("description")?,
        schema: fields.take("input_schema").map(ToOwned::to_owned),
        strict: fields.flag("strict")?,
    };
    fields.leave(warnings);
    Ok(tool)
}

fn tool_choice(mut choice: Fields<'_>, request: &mut Request, warnings: &mut Warnings) -> Read<()> {
    let kind = match choice.kind()?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Any,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.needed_text("name")?),
        _ => return Err(choice.wrong("type", "this choice has no counterpart")),
    };
    request.tool_choice = Some(kind);
    request.parallel_tools = choice.flag("disable_parallel_tool_use")?.map(|it| !it);
    choice.leave(warnings);
    Ok(())
}

fn reasoning(mut thinking: Fields<'_>, warnings: &mut Warnings) -> Read<Reasoning> {
    let mut reasoning = Reasoning {
        proofs: true,
        ..Reasoning::default()
    };
    match thinking.kind()?.as_str() {
        "enabled" => {
            reasoning.budget_tokens = thinking.amount("budget_tokens")?;
            reasoning.adaptive = true;
        }
        "adaptive" | "between_tools" => reasoning.adaptive = true,
        "disabled" => reasoning.proofs = false,
        _ => return Err(thinking.wrong("type", "it has no counterpart")),
    }
    match thinking.text("display")?.as_deref() {
        Some("summarized") => reasoning.summary = Some("auto".to_owned()),
        Some("omitted") | None => {}
        Some(_) => warnings.dropped("display"),
    }
    thinking.leave(warnings);
    Ok(reasoning)
}

fn output_config(
    mut config: Fields<'_>,
    request: &mut Request,
    warnings: &mut Warnings,
) -> Read<()> {
    request.reasoning.effort = config.text("effort")?;
    if let Some(mut format) = config.object("format")? {
        if format.kind()? != "json_schema" {
            return Err(format.wrong("format", "it has no counterpart"));
        }
        let schema = format.take("schema");
        request.shape = Shape::Schema {
            name: None,
            description: None,
            schema: schema
                .map(ToOwned::to_owned)
                .ok_or_else(|| format.wrong("schema", "it is missing"))?,
            // The format has no other.
            strict: Some(true),
        };
        format.leave(warnings);
    }
    config.leave(warnings);
    Ok(())
}
