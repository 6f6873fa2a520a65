import { describe, expect, it } from "vitest";
import { Events, failure, pieces } from "./stream";

describe("a streamed answer", () => {
  it("is read however it is cut", () => {
    const text = 'data: {"choices":[{"delta":{"content":"Hé"}}]}\r\n\r\n: beat\n\ndata: [DONE]\n\n';
    for (let cut = 0; cut <= text.length; cut += 1) {
      const events = new Events();
      const data = [...events.push(text.slice(0, cut)), ...events.push(text.slice(cut))];
      expect(data.flatMap(pieces)).toEqual([{ text: "Hé" }]);
    }
  });
  it("says that it ended at the output limit", () => {
    const data = '{"choices":[{"delta":{"content":"Hé"},"finish_reason":"length"}]}';
    expect(pieces(data)).toEqual([{ text: "Hé" }, { cut: true }]);
  });
  it("says what was used, and what went wrong on the way", () => {
    expect(pieces('{"choices":[],"usage":{"prompt_tokens":19,"completion_tokens":5}}')).toEqual([
      { tokens: { input: 19, output: 5 } },
    ]);
    const broken = pieces('{"error":{"code":"upstream_stalled","message":"the provider fell silent"}}');
    expect(broken).toMatchObject([{ failed: { code: "upstream_stalled", detail: "the provider fell silent" } }]);
    expect(pieces("{")).toMatchObject([{ failed: { code: "unreadable_event" } }]);
  });
});

describe("a refusal", () => {
  it("has code and words whichever shape it comes in", () => {
    const refused = failure(402, { error: { code: "byok_key_missing", message: "no key" } });
    expect(refused).toMatchObject({ status: 402, code: "byok_key_missing", detail: "no key" });
    expect(failure(500, "nonsense")).toMatchObject({ code: "unknown_answer" });
  });
});
