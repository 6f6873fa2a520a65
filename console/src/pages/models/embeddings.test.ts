import { expect, it } from "vitest";
import { embeddingGroups } from "./embeddings";

it("models for embeddings are those of providers that are switched on and serve them", () => {
  const groups = embeddingGroups(
    [{ value: "", label: "Open" }],
    [
      { id: "openai", formats: ["openai_chat", "openai_embeddings"] },
      { id: "mistral", formats: ["openai_chat"] },
      { id: "groq", formats: ["openai_embeddings"] },
    ],
  );
  expect(groups.map(({ items }) => items.map(({ value }) => value))).toEqual([
    [""],
    ["openai/text-embedding-3-small", "openai/text-embedding-3-large"],
  ]);
  expect(embeddingGroups([], [])).toEqual([]);
});
