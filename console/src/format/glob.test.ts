import { expect, it } from "vitest";
import { looksLike } from "./glob";

it("fits whole texts, and everything but the star is meant as it stands", () => {
  expect(looksLike("sk-proj-1", "sk-*")).toBe(true);
  expect(looksLike("xsk-1", "sk-*")).toBe(false);
  expect(looksLike("sk-ant-api03-x", "sk-ant-api03-*")).toBe(true);
  expect(looksLike("a.b", "a.b")).toBe(true);
  expect(looksLike("axb", "a.b")).toBe(false);
  expect(looksLike("pre-middle-end", "pre-*-end")).toBe(true);
});
