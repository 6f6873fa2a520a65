//! What a run made, as a document: for programs, as Markdown, and as a page.
//!
//! A model wrote it: nothing of it is a browser's to run or to fetch; see `script.rs`. Pictures are not in memory here:
//! a document is a list of parts, and whoever sends it reads them piece by piece (`reading.rs`).

use bytes::Bytes;
use domain::run::OutputType;
use store::{RunPart, RunRow};

use super::script;

/// The style of the page; its policy names it by its hash.
const STYLE: &str = "body{max-width:44rem;margin:2rem auto;padding:0 1rem;font:1rem/1.6 system-ui,sans-serif;color:#1a1a1a;\
background:#fff;overflow-wrap:break-word}img{max-width:100%;height:auto}pre{overflow-x:auto}figure{margin:2rem 0}\
table{border-collapse:collapse}th,td{border:1px solid #bbb;padding:.25rem .5rem}footer{margin-top:3rem;color:#555}\
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}a{color:#8ab4f8}footer{color:#aaa}}";
/// SHA-256 of [`STYLE`], in base64; a test compares them.
const STYLE_HASH: &str = "sha256-iLaJLOL6x/vCD2uEDAHTIa+zM9ZS7WzttvCutkU7l7g=";
/// The one script of a page that is served: it says the time in the reader's zone, which only the reader's browser knows.
/// Without it the page says the same in UTC.
const SCRIPT: &str = "for(const it of document.querySelectorAll(\"footer time\"))it.textContent=\
new Intl.DateTimeFormat(void 0,{dateStyle:\"long\",timeStyle:\"short\"}).format(new Date(it.dateTime))";
/// SHA-256 of [`SCRIPT`], in base64; a test compares them.
const SCRIPT_HASH: &str = "sha256-Aa+mB+Jjj1XsDM+S9cuceLLGg0uga8k6rQlz1XFsqfg=";
/// The longest title, in characters.
const MAX_TITLE_CHARS: usize = 80;

/// A run that succeeded, and what there is of what it made.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// The run.
    pub(crate) run: RunRow,
    /// The script, if it has one.
    pub(crate) script: Option<RunPart>,
    /// The pictures, in order.
    pub(crate) images: Vec<RunPart>,
}

/// A part of what is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// This text.
    Text(Bytes),
    /// A picture as it is.
    Picture(RunPart),
    /// A picture in base64.
    Encoded(RunPart),
}

impl Part {
    /// How many bytes it is sent as.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Picture(part) => part.bytes,
            Self::Encoded(part) => part.bytes.div_ceil(3) * 4,
        }
    }
}

/// Parts, one behind the other.
#[derive(Default)]
struct Parts {
    parts: Vec<Part>,
    text: String,
}

impl Parts {
    fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn encoded(&mut self, picture: &RunPart) {
        let text = std::mem::take(&mut self.text);
        self.parts.push(Part::Text(text.into()));
        self.parts.push(Part::Encoded(picture.clone()));
    }

    fn end(mut self) -> Vec<Part> {
        self.parts.push(Part::Text(self.text.into()));
        self.parts
    }
}

/// Where the page gets its pictures.
#[derive(Debug, Clone)]
pub(crate) enum Pictures {
    /// They are in the page, which is a file to keep: its policy is in it, too.
    Inside,
    /// Picture `n` is at this path and `/n`.
    At(String),
}

impl Document {
    pub(crate) fn new(run: RunRow, results: Vec<RunPart>) -> Self {
        let output = |part: &RunPart| run.plan.steps.get(part.step).map(|step| step.output);
        let mut script = None;
        let mut images = Vec::new();
        for part in results {
            match output(&part) {
                Some(OutputType::Script) => script = Some(part),
                Some(OutputType::Image) => images.push(part),
                None => {}
            }
        }
        Self {
            run,
            script,
            images,
        }
    }

    /// The most memory that it takes to make its text, in bytes, but for what reads the Markdown.
    pub(crate) fn text_bytes(&self) -> usize {
        let script = self.script.as_ref().map_or(0, |script| script.bytes);
        let script = usize::try_from(script).unwrap_or(usize::MAX / 64);
        script + script::most(script)
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
    pub(crate) fn markdown(&self, script: Option<&str>) -> Vec<Part> {
        let text = match script {
            Some(script) => script::markdown(script),
            None => format!(
                "# {}",
                self.title().replace(['#', '[', ']', '<', '`', '\\'], " ")
            ),
        };
        let name = free_name(&text);
        let mut parts = Parts::default();
        parts.text(&text);
        parts.text("\n");
        for number in 1..=self.images.len() {
            parts.text(&format!("\n![Picture {number}][{name}-{number}]\n"));
        }
        for (at, picture) in self.images.iter().enumerate() {
            let media_type = &picture.media_type;
            parts.text(&format!("\n[{name}-{}]: data:{media_type};base64,", at + 1));
            parts.encoded(picture);
            parts.text("\n");
        }
        parts.end()
    }

    /// The document as a page.
    pub(crate) fn html(&self, script: Option<&str>, pictures: &Pictures) -> Vec<Part> {
        let title = escaped(&self.title());
        let mut parts = Parts::default();
        // It has no `lang`: nobody knows in which language a model wrote.
        parts.text("<!doctype html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n");
        if matches!(pictures, Pictures::Inside) {
            let policy = contents("data:");
            parts.text(&format!(
                "<meta http-equiv=\"content-security-policy\" content=\"{policy}\">\n\
                 <meta name=\"referrer\" content=\"no-referrer\">\n"
            ));
        }
        parts.text(&format!(
            "<meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"robots\" content=\"noindex\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        ));
        match script {
            Some(script) => parts.text(&script::page(script)),
            None => parts.text(&format!("<h1>{title}</h1>\n")),
        }
        for (at, picture) in self.images.iter().enumerate() {
            let number = at + 1;
            parts.text("<figure><img src=\"");
            match pictures {
                Pictures::Inside => {
                    parts.text(&format!("data:{};base64,", escaped(&picture.media_type)));
                    parts.encoded(picture);
                }
                Pictures::At(path) => parts.text(&escaped(&format!("{path}/{number}"))),
            }
            parts.text(&format!("\" alt=\"Picture {number}\"></figure>\n"));
        }
        let made = self.run.ended_at.unwrap_or(self.run.updated_at);
        let by = self
            .run
            .plan
            .pinned
            .as_ref()
            .map_or_else(String::new, |pinned| {
                format!(" with {}/{}", pinned.provider, pinned.model)
            });
        let (words, by) = (made.in_words(), escaped(&by));
        parts.text(&format!(
            "</main>\n<footer>Written by a model on <time datetime=\"{made}\">{words}</time>{by}.</footer>\n"
        ));
        if matches!(pictures, Pictures::At(_)) {
            parts.text(&format!("<script>{SCRIPT}</script>\n"));
        }
        parts.text("</body>\n</html>\n");
        parts.end()
    }
}

/// A name of references that the text has none of: the first definition of a name counts, and it is not to be the
/// model's.
fn free_name(text: &str) -> String {
    let text: String = text
        .chars()
        .filter(|char| !char.is_whitespace())
        // Readers take names for the same that differ in their letters' case, and do so in different ways. This takes more
        // for the same than any of them.
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .collect();
    let mut name = "picture".to_owned();
    while text.contains(&format!("[{}-", name.to_uppercase())) {
        name.push('s');
    }
    name
}

/// What a page that is sent may do: what [`contents`] says, framed by none. It keeps its origin, without which its
/// pictures would be another's. One that is shown runs [`SCRIPT`], whose hash no other script has; a file runs nothing.
pub(crate) fn policy(pictures: &Pictures) -> String {
    let apart = "frame-ancestors 'none'; sandbox allow-same-origin allow-popups";
    match pictures {
        Pictures::Inside => format!("{}; {apart}", contents("data:")),
        Pictures::At(_) => format!(
            "{}; script-src '{SCRIPT_HASH}'; {apart} allow-scripts",
            contents("'self'")
        ),
    }
}

/// Show its text, its style and pictures of `images` (`'self'` or `data:`).
fn contents(images: &str) -> String {
    format!(
        "default-src 'none'; style-src '{STYLE_HASH}'; img-src {images}; base-uri 'none'; form-action 'none'"
    )
}

pub(super) fn escaped(text: &str) -> String {
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
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn the_policy_names_the_style_and_the_script_that_the_page_has() {
        for (text, hash) in [(STYLE, STYLE_HASH), (SCRIPT, SCRIPT_HASH)] {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
            assert_eq!(hash, format!("sha256-{}", STANDARD.encode(digest)));
        }
    }

    #[test]
    fn a_model_names_no_picture_of_the_document() {
        assert_eq!(free_name("# A"), "picture");
        assert_eq!(free_name("[Picture-1]: https://evil.test"), "pictures");
        assert_eq!(free_name("[ pictu\nre-1] [PICTURES-2]"), "picturess");
        assert_eq!(
            free_name("[p\u{131}cture-1]: https://evil.test"),
            "pictures"
        );
        assert_eq!(
            free_name("[picture-1]: a\n[picture\u{17f}-1]: https://evil.test"),
            "picturess"
        );
    }
}
