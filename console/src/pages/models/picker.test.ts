import { expect, it } from "vitest";
import { groupsOf } from "./ModelPicker";
import { exactFirst } from "./NamePicker";

it("puts what is called just like what was typed first", () => {
  const items = (...labels: string[]) => labels.map((label) => ({ value: label, label, detail: "" }));
  const groups = [
    { value: "Tiers", items: items("Level 1") },
    { value: "My models", items: items("openai/gpt-5.4-nano", "openai/gpt-5.4", "openai/o3") },
  ];
  const order = (typed: string) => exactFirst(groups, typed).flatMap(({ items }) => items.map(({ label }) => label));
  expect(order("OpenAI/gpt-5.4")).toEqual(["openai/gpt-5.4", "openai/gpt-5.4-nano", "openai/o3", "Level 1"]);
  expect(order("gpt-5.4")).toEqual(["Level 1", "openai/gpt-5.4-nano", "openai/gpt-5.4", "openai/o3"]);
});

it("offers presets as a request names them, and none where they cannot be named", () => {
  const models = { default_model: null, models: [], tiers: [] };
  expect(groupsOf(models, [], { fast: { models: ["gpt-x:cost", "claude-x"] } })).toEqual([
    { value: "Presets", items: [{ value: "@fast", label: "@fast", detail: "gpt-x:cost, claude-x" }] },
  ]);
  expect(groupsOf(models, [])).toEqual([]);
});
