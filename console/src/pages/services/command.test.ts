import { describe, expect, it } from "vitest";
import { lineOf, wordsOf } from "./command";

describe("a command in a line", () => {
  it("is split as a shell splits words, and nothing is expanded", () => {
    for (const [line, words] of [
      ["python -m agent", ["python", "-m", "agent"]],
      ["  sh   -c  'echo $HOME; exit 1' ", ["sh", "-c", "echo $HOME; exit 1"]],
      [String.raw`say "it's \"so\" \\ \n"`, ["say", String.raw`it's "so" \ \n`]],
      ['"\\$X \\`"', ["$X `"]],
      [String.raw`a\ b '' --x="y z"`, ["a b", "", "--x=y z"]],
      ["", []],
    ] as const) {
      expect(wordsOf(line), line).toEqual(words);
    }
  });

  it("says what is wrong with it", () => {
    expect(wordsOf("echo 'open")).toBe("The quote ' is not closed.");
    expect(wordsOf('echo "open\\"')).toBe('The quote " is not closed.');
    expect(wordsOf("echo \\")).toBe("A backslash at the end stands for nothing.");
  });

  it("is the line whose words it was read from", () => {
    for (const words of [["python", "-m", "agent"], ["sh", "-c", `it's "$X" \\ *`, ""], ["é", "a b", "'"], ["--x=1"]]) {
      expect(wordsOf(lineOf(words))).toEqual(words);
    }
    expect(lineOf(["python", "-m", "agent", "--port=80"])).toBe("python -m agent --port=80");
  });
});
