import { describe, expect, it } from "vitest";
import { bodyOf, formOf, type Plan } from "./form";

const plan: Plan = {
  id: "team",
  name: "Team",
  rank: 3,
  terms: {
    monthly_credits: 100,
    byok: true,
    tiers: ["embeddings", "level_1"],
    limits: { workspaces: 4, members: null, api_keys: 0, provider_keys: null },
  },
};

describe("a plan's form", () => {
  it("says what the plan says", () => {
    const { name, rank, terms } = plan;
    const tiers = ["level_1", "embeddings"];
    expect(bodyOf(formOf(plan, []))).toEqual({ name, rank, terms: { ...terms, tiers } });
    expect(formOf(undefined, [plan]).rank).toBe("4");
  });
});
