import { describe, expect, test } from "vitest";
import { faultIn, type Line, linesOf, newLine, patchOf } from "./presets";

const line = (part: Partial<Line>): Line => ({ ...newLine(1), name: "fast", models: "gpt-x", ...part });

describe("presets", () => {
  test("what is typed is what is stored", () => {
    const stored = {
      fast: {
        models: ["gpt-x:cost", "claude-x"],
        parameters: {
          temperature: "0.2",
          max_tokens: 50,
          reasoning_effort: "low" as const,
          system_prompt: "Be brief.",
        },
      },
    };
    const lines = linesOf(stored);
    expect(lines[0]).toMatchObject({ name: "fast", models: "gpt-x:cost, claude-x", topP: "", maxTokens: "50" });
    const parameters = { ...stored.fast.parameters, top_p: null };
    expect(patchOf({}, lines)).toEqual({ fast: { models: ["gpt-x:cost", "claude-x"], parameters } });
  });

  test("what nobody touched here is not sent, so that others' changes of it stay", () => {
    const base = { fast: { models: ["a"], parameters: { system_prompt: "Be brief. " } }, slow: { models: ["b"] } };
    expect(patchOf(base, linesOf(base))).toEqual({});
    const [fast, slow] = linesOf(base) as [Line, Line];
    expect(Object.keys(patchOf(base, [fast, { ...slow, topP: "0.5" }]))).toEqual(["slow"]);
    expect(patchOf(base, [slow])).toEqual({ fast: null });
  });

  test("what is not there any more is taken out", () => {
    const stored = { old: { models: ["a"] }, fast: { models: ["b"] } };
    expect(patchOf(stored, [line({ name: "new", models: " c\nd" })])).toEqual({
      old: null,
      fast: null,
      new: {
        models: ["c", "d"],
        parameters: { temperature: null, top_p: null, max_tokens: null, reasoning_effort: null, system_prompt: null },
      },
    });
  });

  test("a fault names the preset and the field", () => {
    expect(faultIn([line({})])).toBeUndefined();
    expect(faultIn([line({ maxTokens: "1", prompt: "ä".repeat(2048) })])).toBeUndefined();
    for (const [part, field] of [
      [{ name: "Fast" }, "name"],
      [{ name: "@fast" }, "name"],
      [{ name: "" }, "name"],
      [{ models: " , " }, "models"],
      [{ models: "1,2,3,4,5,6,7,8,9" }, "models"],
      [{ models: "a, b, a" }, "models"],
      [{ temperature: "2.1" }, "temperature"],
      [{ temperature: "warm" }, "temperature"],
      [{ topP: "-1" }, "topP"],
      [{ maxTokens: "1.5" }, "maxTokens"],
      [{ maxTokens: "1000001" }, "maxTokens"],
      [{ maxTokens: "0" }, "maxTokens"],
      [{ prompt: "ä".repeat(2049) }, "prompt"],
    ] as const)
      expect(faultIn([line(part)])?.field).toBe(field);
    expect(faultIn([line({}), line({ id: 2 })])).toMatchObject({ id: 2, field: "name" });
  });
});
