import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";
import { leadsOut, Markdown, MOST_CHARS, plain } from "./Markdown";

/** The elements that a text becomes, without their classes. */
const shown = (text: string) =>
  renderToStaticMarkup(createElement(Markdown, { text }))
    .replace(/ class="[^"]*"/g, "")
    .replace(/^<div>|<\/div>$/g, "");

describe("Markdown", () => {
  it("has what models write", () => {
    expect(shown("# Tides\n\nHigh *and* **low**, `a<b`, AT&amp;T.")).toBe(
      "<h4>Tides</h4><p>High <em>and</em> <strong>low</strong>, <code>a&lt;b</code>, AT&amp;T.</p>",
    );
    expect(shown("- one\n- two\n  1. deep")).toBe('<ul><li>one</li><li>two<ol start="1"><li>deep</li></ol></li></ul>');
    expect(shown("3. third\n4. fourth")).toContain('<ol start="3">');
    expect(shown("- [x] done")).toContain('<span role="img" aria-label="done">☑ </span>done');
    expect(shown("```js\na < b\n```")).toBe('<pre tabindex="0"><code>a &lt; b</code></pre>');
    expect(shown("> said")).toBe("<blockquote><p>said</p></blockquote>");
    expect(shown("| a | b |\n|---|--:|\n| 1 | *2* |")).toContain("<tr><td>1</td><td><em>2</em></td></tr>");
    const headings = createElement(Markdown, { text: "# a\n\n## b", headings: 2 });
    expect(renderToStaticMarkup(headings)).toMatch(/<h2 .*<h3 /);
    expect(shown("#### deep\n\n##### deeper")).toBe("<h6>deep</h6><h6>deeper</h6>");
  });

  it("shows tags as text, and fetches no pictures", () => {
    for (const text of [
      "<script>alert(1)</script>",
      "words <img src=x onerror=alert(1)> words",
      '<a href="javascript:alert(1)">here</a>',
      "![of <b>it</b>](https://evil.example/pixel.png)",
      "[![x](https://evil.example/p.png)](https://fine.example)",
      "<style>*{display:none}</style>",
      "<svg/onload=alert(1)>",
      "| <iframe src=x> |\n|---|\n| <object> |",
    ]) {
      expect(shown(text), text).not.toMatch(/<(script|img|iframe|object|style|svg|b)\b/i);
      expect(shown(text), text).not.toContain('"javascript:');
    }
    expect(shown("![a *sea*](x.png)")).toBe("<p><em>a *sea*</em></p>");
  });

  it("links to the web and to e-mails alone", () => {
    expect(shown("[here](https://a.example/?x=1&amp;y=2)")).toContain('href="https://a.example/?x=1&amp;y=2"');
    expect(shown("[here](https://a.example)")).toContain('rel="noreferrer nofollow"');
    expect(shown("<me@a.example>")).toContain('href="mailto:me@a.example"');
    for (const href of [
      "javascript:alert(1)",
      "JaVaScRiPt:alert(1)",
      "java\tscript:alert(1)",
      "javascript&#58;alert(1)",
      "data:text/html,x",
      "vbscript:x",
      "/console/account",
      "#here",
      "//evil.example",
    ]) {
      expect(shown(`[here](<${href}>)`), href).not.toContain("href");
      expect(leadsOut(plain(href)), href).toBeUndefined();
    }
  });

  it("shows what is too long or too deep as it was written", () => {
    const long = `# ${"x".repeat(MOST_CHARS)}`;
    expect(shown(long)).toBe(`<p>${long}</p>`);
    const deep = `${"> ".repeat(60)}end`;
    expect(shown(deep)).toContain("end");
    expect(shown(deep).match(/<blockquote>/g)?.length).toBeLessThan(40);
    expect(shown(`${"[".repeat(2000)}a`)).toContain("a");
    expect(shown(`${"*".repeat(3000)}a${"*".repeat(3000)}`)).toContain("a");
  });

  it("resolves references of characters", () => {
    expect(plain("&lt;b&gt; &#65;&#x42; &unknown; &#0; &#9999999;")).toBe("<b> AB &unknown; \ufffd \ufffd");
  });
});
