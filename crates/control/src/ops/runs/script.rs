//! The script of a document: Markdown that a model wrote, in which nothing is a browser's to run or to fetch.
//!
//! HTML in it is text, pictures that it names are left out, and links lead to the web or to an e-mail, or are none.

use std::fmt;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, Options, Parser, Tag, TagEnd, html};

use super::document::escaped;

/// The longest page that a script becomes.
const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;
/// A page is longer than its script by no more than this many times, and 64 KiB: tags of empty elements are.
const MAX_GROWTH: usize = 32;
/// How often Markdown is read to see whether it is tame.
const ROUNDS: usize = 16;

fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH
}

/// The longest that a script of `bytes` becomes as a page or as Markdown.
pub(super) fn most(bytes: usize) -> usize {
    MAX_PAGE_BYTES.min(64 * 1024 + MAX_GROWTH * bytes)
}

/// The script as HTML that does nothing but show. One that would become too long is shown as it was written.
pub(super) fn page(script: &str) -> String {
    let mut out = Bounded {
        text: String::with_capacity(script.len() * 2),
        most: most(script.len()),
    };
    let events = Parser::new_ext(script, options()).map(tamed);
    match html::write_html_fmt(&mut out, events) {
        Ok(()) => aligned(out.text),
        Err(fmt::Error) => format!("<pre>{}</pre>\n", escaped(script)),
    }
}

/// The page with the sides of its tables' columns as attributes: its policy lets no element have a style of its own. In
/// texts and in other attributes quotes are escaped, so nothing else is met.
fn aligned(page: String) -> String {
    ["left", "center", "right"].iter().fold(page, |page, side| {
        let style = format!(" style=\"text-align: {side}\"");
        page.replace(&style, &format!(" align=\"{side}\""))
    })
}

/// A text that takes no more than it may.
struct Bounded {
    text: String,
    most: usize,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        if self.text.len() + more.len() > self.most {
            return Err(fmt::Error);
        }
        self.text.push_str(more);
        Ok(())
    }
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

/// The script as Markdown of which the same is true wherever it is shown, and behind which more can be written.
pub(super) fn markdown(script: &str) -> String {
    let mut text = script.to_owned();
    for _ in 0..ROUNDS {
        let wild = wild(&text);
        if wild.is_empty() {
            return closed(text);
        }
        text = with_backslashes(&text, &wild);
    }
    as_code(script)
}

/// The places before which a backslash takes the meaning from what a browser would act on. Without it, what stands
/// inside may mean something, so one has to look again.
fn wild(markdown: &str) -> Vec<usize> {
    let mut places = Vec::new();
    for (event, range) in Parser::new_ext(markdown, options()).into_offset_iter() {
        match event {
            Event::Html(_) | Event::InlineHtml(_) => {
                let tags = markdown[range.clone()].match_indices('<');
                places.extend(tags.map(|(at, _)| range.start + at));
            }
            Event::Start(Tag::Image { .. }) => places.push(range.start),
            Event::Start(Tag::Link { dest_url, .. })
                if !leads_out(&dest_url) && !dest_url.starts_with('#') =>
            {
                places.push(range.start);
            }
            _ => {}
        }
    }
    places.sort_unstable();
    places.dedup();
    places
}

fn with_backslashes(text: &str, places: &[usize]) -> String {
    let mut out = String::with_capacity(text.len() + places.len());
    let mut from = 0;
    for place in places {
        out.push_str(&text[from..*place]);
        out.push('\\');
        from = *place;
    }
    out.push_str(&text[from..]);
    out
}

/// With the end of the code block in which it would swallow what is written behind it.
fn closed(text: String) -> String {
    let Some(fence) = open_fence(&text) else {
        return text;
    };
    let mended = format!("{text}\n{fence}");
    match open_fence(&mended) {
        None => mended,
        Some(_) => as_code(&text),
    }
}

/// The fence that would end the block in which the text ends.
fn open_fence(text: &str) -> Option<String> {
    const BEHIND: &str = "behind";
    let probe = format!("{text}\n\n{BEHIND}\n");
    let mut fence = None;
    let mut in_code = false;
    let mut behind = false;
    for (event, range) in Parser::new_ext(&probe, options()).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) => {
                in_code = true;
                let line = &probe[range.start..];
                let mark = line.chars().next().unwrap_or('`');
                let length = line.chars().take_while(|it| *it == mark).count();
                fence = Some(mark.to_string().repeat(length));
            }
            Event::End(TagEnd::CodeBlock) => in_code = false,
            _ => {}
        }
        if range.end > text.len() + 2 {
            behind = behind || in_code;
        }
    }
    fence.filter(|_| behind)
}

/// Every line of it as code, which means nothing. A carriage return alone ends a line, too.
fn as_code(text: &str) -> String {
    let lines = text.split(['\n', '\r']);
    lines.map(|line| format!("    {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WILD: &str = "# A <script>alert(1)</script>\n\n<img src=x onerror=alert(1)>\n\n<!-- x -->\n\n\
         ![p](https://evil.test/p.png) [a](javascript:alert(1)) [b](https://good.test \"t\") [c](DATA:text/html,x) \
         <https://x.test> `<b>`\n\n| <i>a</i> |\n| --- |\n| \"b\" |\n\n<div>\n![q](https://evil.test/q.png)\n</div>\n\n\
         ![r][s]\n\n[s]: https://evil.test/r.png\n";

    #[test]
    fn each_line_of_code_is_code_however_it_ends() {
        for text in ["a\r<img src=x>", "a\r\n<img src=x>", "a\n<img src=x>"] {
            let code = as_code(text);
            let mut events = Parser::new_ext(&code, options());
            let is_html = |it: Event<'_>| matches!(it, Event::Html(_) | Event::InlineHtml(_));
            assert!(!events.any(is_html), "{code:?}");
        }
    }

    #[test]
    fn nothing_that_a_model_writes_becomes_markup_of_its_own() {
        let page = page(WILD);
        for wrong in [
            "<script",
            "<img",
            "<!--",
            "<i>",
            "<b>",
            "javascript:",
            "DATA:",
            "evil.test/p",
            "evil.test/r",
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

    /// What a reader of Markdown that knows nothing of us makes of it.
    fn shown(markdown: &str) -> String {
        let mut out = String::new();
        html::push_html(&mut out, Parser::new_ext(markdown, options()));
        out
    }

    #[test]
    fn markdown_fetches_and_runs_nothing_wherever_it_is_shown() {
        let text = markdown(WILD);
        let page = shown(&text);
        for wrong in [
            "<script",
            "<img",
            "<!--",
            "<i>",
            "<div",
            "href=\"javascript",
            "href=\"DATA",
        ] {
            assert!(!page.contains(wrong), "{wrong} in {page}");
        }
        assert!(page.contains("href=\"https://good.test\""), "{page}");
        assert!(page.contains("<code>&lt;b&gt;</code>"), "{page}");
        let plain = "# A\n\nSome *text*, [b](https://good.test), [c](#a) and\n\n- a list\n\n```rust\nlet a = \"<b>\";\n```";
        assert_eq!(markdown(plain), plain, "what is tame stays as it is");
    }

    #[test]
    fn what_is_written_behind_a_script_is_not_swallowed_by_it() {
        for script in [
            "```\nlet a = 1;",
            "~~~~~ rust\n```\n",
            "- a\n  ```\n  b",
            "> ```\n> b",
            "a\n\n    code",
            "a\n<!-- never ends",
            "<pre>\n",
            "```\na\n```",
            "| a |\n| - |\n| b |",
            "[a",
            "`a",
        ] {
            let page = shown(&format!("{}\n\n**behind**\n", markdown(script)));
            assert!(
                page.contains("<strong>behind</strong>"),
                "{script:?}: {page}"
            );
        }
    }

    #[test]
    fn a_page_is_bounded_whatever_a_script_is_made_of() {
        let columns = "|a".repeat(20_000);
        let table = format!(
            "{columns}\n{}\n{}",
            "|-".repeat(20_000),
            "|\n".repeat(20_000)
        );
        for script in [
            ">".repeat(1 << 18),
            "*\n".repeat(1 << 18),
            table,
            "a".repeat(1 << 20),
        ] {
            let page = page(&script);
            assert!(page.len() <= most(script.len()), "{}", page.len());
        }
        assert!(page(&">".repeat(1 << 19)).starts_with("<pre>&gt;"));
    }
}
