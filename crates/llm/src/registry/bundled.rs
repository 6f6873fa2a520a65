//! The provider files that come with the program.

macro_rules! files {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../../../providers/", $name)))),*]
    };
}

/// Name and text of each file in `/providers`.
pub(super) static FILES: &[(&str, &str)] = files! {
    "openai.toml"
    "anthropic.toml"
};
