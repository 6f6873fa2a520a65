/**
 * Commands in one line, with quotes as a shell has them. No shell reads what is stored: it is a list of words, and this is
 * how it is typed and shown.
 */

/** The words of a line; a text says what is wrong with it. */
export function wordsOf(line: string): string[] | string {
  const words: string[] = [];
  // `undefined` between words: an empty word is one that was quoted.
  let word: string | undefined;
  for (let at = 0; at < line.length; at += 1) {
    const sign = line[at] as string;
    if (/\s/.test(sign)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (sign === "'" || sign === '"') {
      const quoted = sign === "'" ? upTo(line, at + 1) : unescapedUpTo(line, at + 1);
      if (!quoted) return `The quote ${sign} is not closed.`;
      word = (word ?? "") + quoted.text;
      at = quoted.end;
    } else if (sign === "\\") {
      at += 1;
      if (at === line.length) return "A backslash at the end stands for nothing.";
      word = (word ?? "") + line[at];
    } else {
      word = (word ?? "") + sign;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

interface Quoted {
  text: string;
  /** Where its closing quote stands. */
  end: number;
}

function upTo(line: string, begin: number): Quoted | undefined {
  const end = line.indexOf("'", begin);
  return end === -1 ? undefined : { text: line.slice(begin, end), end };
}

function unescapedUpTo(line: string, begin: number): Quoted | undefined {
  let text = "";
  for (let end = begin; end < line.length; end += 1) {
    const sign = line[end] as string;
    if (sign === '"') return { text, end };
    const next = line[end + 1];
    if (sign === "\\" && next !== undefined && '"\\$`'.includes(next)) {
      text += next;
      end += 1;
    } else {
      text += sign;
    }
  }
  return undefined;
}

/** The line whose words these are. */
export function lineOf(words: string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(" ");
}
