//! The provider speaks Gemini's content.

use super::config;
use super::write_turns::{contents, system};
use crate::neutral::{NotTranslatable, Object, Request, Tool, ToolChoice, Warnings, array};
use crate::translate::Target;

pub(super) type Written<T> = Result<T, NotTranslatable>;

pub(in super::super) fn write(
    mut request: Request,
    target: &Target,
    warnings: &mut Warnings,
) -> Written<String> {
    let system = system(&request, warnings)?;
    let contents = contents(&request, target.thinking, warnings)?;
    let mut body = Object::new()
        .maybe("systemInstruction", system)
        .with("contents", contents);
    if !request.tools.is_empty() {
        if request.tools.iter().any(|it| it.strict == Some(true)) {
            warnings.dropped("strict");
        }
        if request.parallel_tools == Some(false) {
            warnings.dropped("parallel_tool_calls");
        }
        let functions = array(request.tools.iter().map(tool));
        let tools = Object::new().with("functionDeclarations", functions);
        let choice = request.tool_choice.as_ref().map(tool_config);
        body = body
            .with("tools", array([tools]))
            .maybe("toolConfig", choice);
    }
    let config = config::write(&mut request, target.thinking, warnings)?;
    body = body.maybe("generationConfig", config);
    if request.user.is_some() {
        warnings.dropped("user");
    }
    if request.verbosity.is_some() {
        warnings.dropped("verbosity");
    }
    request.drop_extras(warnings);
    Ok(body.end())
}

fn tool(tool: &Tool) -> Object {
    Object::new()
        .with("name", &tool.name)
        .maybe("description", tool.description.as_ref())
        .maybe("parametersJsonSchema", tool.schema.as_ref())
}

fn tool_config(choice: &ToolChoice) -> Object {
    let (mode, name) = match choice {
        ToolChoice::Auto => ("AUTO", None),
        ToolChoice::None => ("NONE", None),
        ToolChoice::Any => ("ANY", None),
        ToolChoice::Named(name) => ("ANY", Some(array([name]))),
    };
    let calling = Object::new()
        .with("mode", mode)
        .maybe("allowedFunctionNames", name);
    Object::new().with("functionCallingConfig", calling)
}
