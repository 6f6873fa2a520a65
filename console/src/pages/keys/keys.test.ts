import { describe, expect, it } from "vitest";
import { moved } from "@/ui/order";
import { baseUrlFault, changesOf, freeLabel, inOrder, type Key, labelFault } from "./keys";

describe("a base URL", () => {
  it("is looked at before the key leaves its field", () => {
    for (const fine of ["https://proxy.example/v1", "http://10.0.0.1:8080"]) expect(baseUrlFault(fine)).toBeUndefined();
    for (const wrong of [
      "proxy",
      "ftp://a.example",
      "https://u:p@a.example",
      "https://a.example?x=1",
      "https://a.example#x",
    ])
      expect(baseUrlFault(wrong), wrong).toBeDefined();
  });
});

describe("the order of keys", () => {
  const key = (id: string, position: number, created_at: string) => ({ id, position, created_at }) as Key;

  it("is by position, then by age", () => {
    const keys = [key("c", 1, "2026-01-01"), key("b", 0, "2026-01-02"), key("a", 0, "2026-01-01")];
    expect(inOrder(keys).map(({ id }) => id)).toEqual(["a", "b", "c"]);
  });

  it("changes by moving one to a place", () => {
    expect(moved(["a", "b", "c"], "a", 2)).toEqual(["b", "c", "a"]);
    expect(moved(["a", "b", "c"], "c", 0)).toEqual(["c", "a", "b"]);
    expect(moved(["a", "b", "c"], "b", 1)).toEqual(["a", "b", "c"]);
  });
});

describe("an edited key", () => {
  it("is sent what was changed and nothing else", () => {
    const opened = { label: "team", level: 7, fallback: true };
    expect(changesOf(opened, { ...opened, label: "ours" })).toEqual({ label: "ours" });
    expect(changesOf(opened, { label: "team", level: null, fallback: false })).toEqual({
      level: null,
      fallback: false,
    });
    expect(changesOf(opened, { ...opened })).toEqual({});
  });
});

describe("labels", () => {
  it("hold to the server's rule before a key leaves its field", () => {
    for (const good of ["primary", "a", "9.b_c-D", "x".repeat(64)]) expect(labelFault(good)).toBeUndefined();
    for (const bad of ["", "my key", "-a", ".a", "clé", "a/b", "x".repeat(65)]) expect(labelFault(bad)).toBeDefined();
  });

  it("are suggested so that no key is replaced", () => {
    const keys = [
      { provider: "openai", label: "primary" },
      { provider: "openai", label: "primary-2" },
      { provider: "groq", label: "team" },
    ];
    expect(freeLabel(keys, "openai")).toBe("primary-3");
    expect(freeLabel(keys, "groq")).toBe("primary");
    expect(freeLabel(keys, null)).toBe("primary");
  });
});
