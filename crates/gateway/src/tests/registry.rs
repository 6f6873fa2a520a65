//! The providers that the harness knows.

use std::net::SocketAddr;

use llm::registry::Registry;

/// Providers at one address, one for each house of formats, a gateway that speaks OpenAI's and Anthropic's, and one that
/// speaks none, and two that know the same models.
pub(super) fn registry(address: SocketAddr) -> Registry {
    let file = |id: &str, header: &str, rest: &str| {
        let text = format!(
            "id = \"{id}\"\nname = \"{id}\"\nbase_url = \"http://{address}/base\"\nstatus = \"active\"\n\
             kind = \"first_party\"\n{rest}\n[payment]\nmodes = [\"byok\"]\n[key]\nurl = \"https://example.com/keys\"\n\
             [auth]\nheader = \"{header}\"\n"
        );
        (format!("{id}.toml"), text)
    };
    let (name, openai) = file("openai", "authorization", "native_patterns = [\"gpt-*\"]");
    let openai = format!(
        "{openai}scheme = \"Bearer\"\n[probe]\nformat = \"openai_chat\"\nmodel = \"gpt-tiny\"\n\
         [[formats]]\nformat = \"openai_chat\"\npath = \"/chat/completions\"\n\
         [[formats]]\nformat = \"openai_responses\"\npath = \"/responses\"\n\
         [[formats]]\nformat = \"openai_embeddings\"\npath = \"/embeddings\"\n\
         [[formats]]\nformat = \"openai_moderations\"\npath = \"/moderations\"\n\
         [[formats]]\nformat = \"openai_images\"\npath = \"/images/generations\"\n\
         operations = {{ edits = \"/images/edits\", variations = \"/images/variations\" }}\n\
         [[formats]]\nformat = \"openai_speech\"\npath = \"/audio/speech\"\n\
         [[formats]]\nformat = \"openai_transcriptions\"\npath = \"/audio/transcriptions\"\n\
         operations = {{ translations = \"/audio/translations\" }}\n\
         [[formats]]\nformat = \"openai_realtime\"\npath = \"/realtime\"\n\
         [[formats]]\nformat = \"rerank\"\npath = \"/rerank\"\n[[models]]\nid = \"gpt-tiny\"\n\
         max_output_tokens = 500\n"
    );
    let (other, anthropic) = file("anthropic", "x-api-key", "native_patterns = [\"claude-*\"]");
    let anthropic = format!(
        "{anthropic}[auth.extra_headers]\nanthropic-version = \"2023-06-01\"\n[probe]\nget = \"/v1/whoami\"\n\
         [[formats]]\nformat = \"anthropic_messages\"\npath = \"/v1/messages\"\n\
         operations = {{ count_tokens = \"/v1/messages/count_tokens\" }}\n[[models]]\nid = \"claude-tiny\"\n"
    );
    let (fifth, google) = file(
        "google",
        "authorization",
        "native_patterns = [\"gemini-*\"]",
    );
    let google = google.replace("/base\"", "/base/openai\"");
    let google = format!(
        "{google}scheme = \"Bearer\"\n[probe]\nformat = \"gemini_generate_content\"\nmodel = \"gemini-tiny\"\n\
         [[formats]]\nformat = \"openai_chat\"\npath = \"/chat/completions\"\n\
         [[formats]]\nformat = \"gemini_generate_content\"\npath = \"/models/{{model}}:{{action}}\"\n\
         strip = \"/openai\"\nauth = {{ header = \"x-goog-api-key\" }}\n\
         [[formats]]\nformat = \"gemini_embeddings\"\npath = \"/models/{{model}}:{{action}}\"\n\
         strip = \"/openai\"\nauth = {{ header = \"x-goog-api-key\" }}\n\
         [[models]]\nid = \"gemini-tiny\"\ncontext_tokens = 9000\nmax_output_tokens = 500\n"
    );
    let (third, gateway) = file("relay", "authorization", "stream_options = false");
    let gateway = gateway.replace("first_party", "gateway");
    let gateway = format!(
        "{gateway}scheme = \"Bearer\"\n[[formats]]\nformat = \"openai_chat\"\npath = \"/relayed\"\n\
         [[formats]]\nformat = \"anthropic_messages\"\npath = \"/relayed/messages\"\n\
         [[formats]]\nformat = \"openai_embeddings\"\npath = \"/relayed/embeddings\"\n\
         [slugs]\nopenai = \"open-ai\"\n"
    );
    let (fourth, brave) = file("brave", "x-subscription-token", "");
    let brave = brave.replace("first_party\"", "search\"\nshared = [\"res/v1\"]");
    // Two gateways that know the same models by the same names.
    let market = |id: &str| {
        let (name, market) = file(id, "authorization", "native_patterns = [\"org/*\"]");
        let market = market.replace("first_party", "gateway");
        let formats = "[[formats]]\nformat = \"openai_chat\"\npath = \"/chat\"\n\
             [[formats]]\nformat = \"openai_responses\"\npath = \"/responses\"\n";
        (name, format!("{market}scheme = \"Bearer\"\n{formats}"))
    };
    let files = [
        market("mart"),
        market("stall"),
        (name, openai),
        (other, anthropic),
        (third, gateway),
        (fourth, brave),
        (fifth, google),
    ];
    Registry::default().with_files(&files).expect("valid files")
}
