//! What a run made, as a document: for programs, as Markdown, and as a page.
//!
//! A model wrote it: nothing of it is a browser's to run. HTML in the text is shown as text, pictures that the text
//! names are left out, and links lead to the web or to an e-mail, or are none.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::run::OutputType;
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};
use store::{RunResult, RunRow};

/// The style of the page; the policy of pages that are served names it by its hash.
const STYLE: &str = "body{max-width:44rem;margin:2rem auto;padding:0 1rem;font:1rem/1.6 system-ui,sans-serif;color:#1a1a1a;\
background:#fff;overflow-wrap:break-word}img{max-width:100%;height:auto}pre{overflow-x:auto}figure{margin:2rem 0}\
table{border-collapse:collapse}th,td{border:1px solid #bbb;padding:.25rem .5rem}footer{margin-top:3rem;color:#555}\
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}a{color:#8ab4f8}footer{color:#aaa}}";
/// SHA-256 of [`STYLE`], in base64; a test compares them.
const STYLE_HASH: &str = "sha256-iLaJLOL6x/vCD2uEDAHTIa+zM9ZS7WzttvCutkU7l7g=";
/// The longest title, in characters.
const MAX_TITLE_CHARS: usize = 80;

/// A run that succeeded, with what it made.
pub(crate) struct Document {
    /// The run.
    pub(crate) run: RunRow,
    /// The script, if it has one.
    pub(crate) script: Option<String>,
    /// The pictures, in order, each with its media type.
    pub(crate) images: Vec<(String, Vec<u8>)>,
}

/// Where the page gets its pictures.
pub(crate) enum Pictures<'a> {
    /// They are in the page.
    Inside,
    /// Picture `n` is at this path and `/n`.
    At(&'a str),
}

impl Document {
    pub(crate) fn new(run: RunRow, results: Vec<RunResult>) -> Self {
        let output = |step: usize| run.plan.steps.get(step).map(|step| step.output);
        let mut script = None;
        let mut images = Vec::new();
        for result in results {
            match output(result.step) {
                Some(OutputType::Script) => {
                    script = Some(String::from_utf8_lossy(&result.content).into_owned());
                }
                Some(OutputType::Image) => images.push((result.media_type, result.content)),
                None => {}
            }
        }
        Self {
            run,
            script,
            images,
        }
    }

    /// The first line of the prompt, shortened.
    pub(crate) fn title(&self) -> String {
        let line = self.run.prompt.lines().next().unwrap_or_default();
        let mut title: String = line.chars().take(MAX_TITLE_CHARS).collect();
        if title.len() < line.len() {
            title.push('…');
        }
        title
    }

    /// The document in Markdown, in one file: the pictures stand at its end.
    pub(crate) fn markdown(&self) -> String {
        let mut text = match &self.script {
            Some(script) => format!("{script}\n"),
            None => format!(
                "# {}\n",
                self.title().replace(['#', '[', ']', '<', '`'], " ")
            ),
        };
        for number in 1..=self.images.len() {
            text.push_str(&format!("\n![Picture {number}][picture-{number}]\n"));
        }
        for (at, (media_type, bytes)) in self.images.iter().enumerate() {
            let encoded = STANDARD.encode(bytes);
            text.push_str(&format!(
                "\n[picture-{}]: data:{media_type};base64,{encoded}\n",
                at + 1
            ));
        }
        text
    }

    /// The document as a page.
    pub(crate) fn html(&self, pictures: &Pictures<'_>) -> String {
        let title = escaped(&self.title());
        let body = match &self.script {
            Some(script) => rendered(script),
            None => format!("<h1>{title}</h1>\n"),
        };
        let figures = self
            .images
            .iter()
            .enumerate()
            .map(|(at, (media_type, bytes))| {
                let number = at + 1;
                let source = match pictures {
                    Pictures::Inside => {
                        format!("data:{media_type};base64,{}", STANDARD.encode(bytes))
                    }
                    Pictures::At(path) => format!("{path}/{number}"),
                };
                format!(
                    "<figure><img src=\"{}\" alt=\"Picture {number}\"></figure>\n",
                    escaped(&source)
                )
            });
        let figures: String = figures.collect();
        let made = self.run.ended_at.unwrap_or(self.run.updated_at);
        let by = self
            .run
            .plan
            .pinned
            .as_ref()
            .map_or_else(String::new, |pinned| {
                format!(" with {}/{}", pinned.provider, pinned.model)
            });
        let footer = escaped(&format!("Written by a model on {made}{by}."));
        format!(
            "<!doctype html>\n<html lang=\"\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"robots\" content=\"noindex\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}{figures}</main>\n\
             <footer>{footer}</footer>\n</body>\n</html>\n"
        )
    }
}

/// What a page that is served may do: show its text, its style and pictures of `images` (`'self'` or `data:`). It keeps its
/// origin, without which its pictures would be another's; no script has it.
pub(crate) fn policy(images: &str) -> String {
    format!(
        "default-src 'none'; style-src '{STYLE_HASH}'; img-src {images}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-same-origin allow-popups"
    )
}

/// Markdown as HTML that does nothing but show.
fn rendered(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut out = String::with_capacity(markdown.len() * 2);
    html::push_html(&mut out, Parser::new_ext(markdown, options).map(tamed));
    out
}

/// Takes out of an event what a browser would act on.
fn tamed(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        // Its description stays as text.
        Event::Start(Tag::Image { .. }) => Event::Start(Tag::Emphasis),
        Event::End(TagEnd::Image) => Event::End(TagEnd::Emphasis),
        Event::Start(Tag::Link {
            link_type,
            dest_url,
            id,
            ..
        }) => Event::Start(Tag::Link {
            link_type,
            dest_url: if leads_out(&dest_url) {
                dest_url
            } else {
                CowStr::Borrowed("#")
            },
            title: CowStr::Borrowed(""),
            id,
        }),
        event => event,
    }
}

fn leads_out(url: &str) -> bool {
    let url = url.to_ascii_lowercase();
    ["https://", "http://", "mailto:"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            char => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_the_style_that_the_page_has() {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, STYLE.as_bytes());
        assert_eq!(STYLE_HASH, format!("sha256-{}", STANDARD.encode(digest)));
    }

    #[test]
    fn nothing_that_a_model_writes_becomes_markup_of_its_own() {
        let page = rendered(
            "# A <script>alert(1)</script>\n\n<img src=x onerror=alert(1)>\n\n<!-- x -->\n\n\
             ![p](https://evil.test/p.png) [a](javascript:alert(1)) [b](https://good.test \"t\") [c](DATA:text/html,x) \
             <https://x.test> `<b>`\n\n| <i>a</i> |\n| --- |\n| \"b\" |\n",
        );
        for wrong in [
            "<script",
            "<img",
            "<!--",
            "<i>",
            "<b>",
            "javascript:",
            "DATA:",
            "evil.test",
        ] {
            assert!(!page.contains(wrong), "{wrong} in {page}");
        }
        for right in [
            "&lt;script&gt;",
            "href=\"https://good.test\"",
            "<em>p</em>",
            "<table>",
        ] {
            assert!(page.contains(right), "{right} in {page}");
        }
    }
}
