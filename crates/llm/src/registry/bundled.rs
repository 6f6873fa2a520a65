//! The provider files that come with the program.

macro_rules! files {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../../../providers/", $name)))),*]
    };
}

/// Name and text of each file in `/providers`.
pub(super) static FILES: &[(&str, &str)] = files! {
    "anthropic.toml"
    "brave.toml"
    "cerebras.toml"
    "cohere.toml"
    "deepseek.toml"
    "fireworks.toml"
    "google.toml"
    "groq.toml"
    "jina.toml"
    "mistral.toml"
    "openai.toml"
    "openrouter.toml"
    "perplexity.toml"
    "together.toml"
    "xai.toml"
};
