import { describe, expect, it } from "vitest";
import type { Model } from "@/pages/models/models";
import { serving } from "./serving";

const model = (provider: string, key_source: "byok" | "managed" | null) => ({ provider, key_source }) as Model;
const nothing = { status: "invalid_missing_key", managed_available: false, credits_left: true } as const;

describe("what serves", () => {
  it("is an own key that may, whoever of workspace and account has it", () => {
    const models = [model("openai", "byok"), model("openai", "byok"), model("groq", null)];
    expect(serving(models, nothing)).toEqual({ own: ["openai"], credits: false, any: true });
    expect(serving([model("openai", null)], nothing)).toEqual({ own: [], credits: false, any: false });
  });

  it("is not credits alone, without a key of the instance", () => {
    const models = [model("openai", null)];
    expect(serving(models, { ...nothing, status: "managed_active" }).any).toBe(false);
    expect(serving(models, { status: "managed_active", managed_available: true, credits_left: true }).credits).toBe(
      true,
    );
    expect(serving(models, { status: "managed_active", managed_available: true, credits_left: false }).any).toBe(false);
    expect(serving([model("openai", "managed")], nothing).credits).toBe(true);
  });

  it("may be an own key of a provider that lists no models", () => {
    expect(serving([], { ...nothing, status: "byok_active" })).toEqual({
      own: [],
      credits: false,
      any: true,
    });
  });
});
