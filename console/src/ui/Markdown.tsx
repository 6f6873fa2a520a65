import { Marked, type MarkedToken, type Token, type Tokens } from "marked";
import { createContext, Fragment, type ReactNode, useContext, useMemo } from "react";
import { cx } from "./cx";

/** Longer texts, and texts in texts deeper than this, are shown as they were written. */
export const MOST_CHARS = 200_000;
const MOST_DEPTH = 24;
const reader = new Marked({ gfm: true });

const FirstHeading = createContext(4);
const Headings = FirstHeading.Provider;

/**
 * A text in Markdown that anybody may have written. It becomes elements of React and is HTML at no time: tags in it are
 * shown as they stand, pictures that it names are not fetched but called by their description, and links lead to the
 * web or to an e-mail, or are none. `headings`: the level of its highest ones, below those of the page.
 */
export function Markdown({
  text,
  headings = 4,
  className,
}: {
  text: string;
  headings?: 2 | 3 | 4;
  className?: string;
}) {
  const content = useMemo(() => contentOf(text, headings), [text, headings]);
  return <div className={cx("flex min-w-0 flex-col gap-3 leading-6 wrap-anywhere", className)}>{content}</div>;
}

function contentOf(text: string, headings: number): ReactNode {
  if (text.length <= MOST_CHARS) {
    try {
      return <Headings value={headings}>{blocks(reader.lexer(text), 0)}</Headings>;
    } catch {
      // What cannot be read as Markdown is still a text.
    }
  }
  return <p className="whitespace-pre-wrap">{text}</p>;
}

function blocks(tokens: Token[], depth: number): ReactNode {
  if (depth > MOST_DEPTH) return tokens.map(({ raw }) => raw).join("");
  return tokens.map((token, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: a text that was read once never changes its order
    <Fragment key={index}>{block(token as MarkedToken, depth)}</Fragment>
  ));
}

function block(token: MarkedToken, depth: number): ReactNode {
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "heading":
      return <Heading token={token}>{inline(token.tokens, depth)}</Heading>;
    case "paragraph":
      return <p>{inline(token.tokens, depth)}</p>;
    case "code":
      return (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
        <pre tabIndex={0} className="overflow-x-auto rounded-md bg-sunken px-3 py-2.5 font-mono text-xs leading-5">
          <code>{token.text}</code>
        </pre>
      );
    case "blockquote":
      return (
        <blockquote className="flex flex-col gap-3 border-l-2 border-line-strong pl-4 text-soft">
          {blocks(token.tokens, depth + 1)}
        </blockquote>
      );
    case "list":
      return <List token={token} depth={depth + 1} />;
    case "table":
      return <MarkdownTable token={token} depth={depth + 1} />;
    case "hr":
      return <hr className="border-line" />;
    case "html":
      return <p className="whitespace-pre-wrap">{token.text.trimEnd()}</p>;
    case "text":
      // The text of an entry of a tight list.
      return token.tokens ? inline(token.tokens, depth) : plain(token.text);
    default:
      return inline([token], depth);
  }
}

function Heading({ token: { depth }, children }: { token: Tokens.Heading; children: ReactNode }) {
  const first = useContext(FirstHeading);
  const Tag = `h${Math.min(6, first + depth - 1)}` as "h2" | "h3" | "h4" | "h5" | "h6";
  const size = ["text-xl", "text-lg", "text-base"][depth - 1] ?? "text-sm";
  return <Tag className={cx("mt-2 font-semibold tracking-tight first:mt-0", size)}>{children}</Tag>;
}

function List({ token, depth }: { token: Tokens.List; depth: number }) {
  const items = token.items.map((item, index) => (
    <li
      // biome-ignore lint/suspicious/noArrayIndexKey: as above
      key={index}
      className={cx(item.loose && "[&>*+*]:mt-2", item.task && "list-none")}
    >
      {blocks(item.tokens, depth)}
    </li>
  ));
  const look = "flex flex-col gap-1 pl-6";
  if (!token.ordered) return <ul className={cx(look, "list-disc")}>{items}</ul>;
  return (
    <ol start={token.start === "" ? 1 : token.start} className={cx(look, "list-decimal")}>
      {items}
    </ol>
  );
}

function MarkdownTable({ token, depth }: { token: Tokens.Table; depth: number }) {
  const side = { left: "text-left", center: "text-center", right: "text-right" };
  const cell = (Tag: "th" | "td", { tokens, align }: Tokens.TableCell, index: number) => (
    <Tag
      key={index}
      scope={Tag === "th" ? "col" : undefined}
      className={cx("border border-line px-3 py-1.5 align-top", Tag === "th" && "font-semibold", side[align ?? "left"])}
    >
      {inline(tokens, depth)}
    </Tag>
  );
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <div tabIndex={0} className="relative overflow-x-auto">
      <table className="border-collapse text-sm wrap-normal">
        <thead>
          <tr>{token.header.map((entry, index) => cell("th", entry, index))}</tr>
        </thead>
        <tbody>
          {token.rows.map((row, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: as above
            <tr key={index}>{row.map((entry, at) => cell("td", entry, at))}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function inline(tokens: Token[], depth: number): ReactNode {
  if (depth > MOST_DEPTH) return tokens.map(({ raw }) => raw).join("");
  return tokens.map((token, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: as above
    <Fragment key={index}>{span(token as MarkedToken, depth + 1)}</Fragment>
  ));
}

function span(token: MarkedToken, depth: number): ReactNode {
  switch (token.type) {
    case "text":
      return token.tokens ? inline(token.tokens, depth) : plain(token.text);
    case "escape":
      return token.text;
    case "strong":
      return <strong>{inline(token.tokens, depth)}</strong>;
    case "em":
      return <em>{inline(token.tokens, depth)}</em>;
    case "del":
      return <del>{inline(token.tokens, depth)}</del>;
    case "codespan":
      return <code className="rounded bg-sunken px-1 py-0.5 font-mono text-[0.9em]">{token.text}</code>;
    case "br":
      return <br />;
    case "link":
      return <Away href={token.autolink ? token.href : plain(token.href)}>{inline(token.tokens, depth)}</Away>;
    case "image":
      return <em>{plain(token.text)}</em>;
    case "checkbox":
      return (
        <span role="img" aria-label={token.checked ? "done" : "to do"}>
          {token.checked ? "☑ " : "☐ "}
        </span>
      );
    default:
      return token.raw;
  }
}

/** A link that leads out; one that leads anywhere else is its words alone. */
function Away({ href, children }: { href: string; children: ReactNode }) {
  const to = leadsOut(href);
  if (!to) return children;
  return (
    <a
      href={to}
      title={to}
      target="_blank"
      rel="noreferrer nofollow"
      className="text-accent-text underline underline-offset-2"
    >
      {children}
    </a>
  );
}

/** The address of a link to the web or to an e-mail. What decides is the address as the browser reads it. */
export function leadsOut(href: string): string | undefined {
  if (!URL.canParse(href)) return undefined;
  const url = new URL(href);
  return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : undefined;
}

const NAMED: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };

/** A text with its character references resolved: the common names, and all numbers. */
export function plain(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]{2,4}));/gi, (as, decimal, hex, name) => {
    if (name) return NAMED[name] ?? as;
    const point = decimal ? Number.parseInt(decimal, 10) : Number.parseInt(hex, 16);
    return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : "\ufffd";
  });
}
