import { describe, expect, it } from "vitest";
import { hintOf, newer, progressText, type Run, type Step, stepNames } from "./runs";

const steps = (...all: [Step["output_type"], Step["status"]][]) =>
  all.map(([output_type, status]) => ({ output_type, status }) as Step);

describe("a run", () => {
  it("says how far it is", () => {
    const two = steps(["script", "succeeded"], ["image", "running"], ["image", "pending"]);
    expect(stepNames(two)).toEqual(["Script", "Picture 1", "Picture 2"]);
    expect(progressText({ status: "running", steps: two })).toContain("Picture 1 is being made, step 2 of 3.");
    expect(progressText({ status: "failed", steps: two })).toBe(
      "Picture 1 could not be made, step 2 of 3. What was made before it stays.",
    );
    const one = steps(["script", "failed"]);
    expect(stepNames(steps(["image", "pending"]))).toEqual(["Picture"]);
    expect(progressText({ status: "failed", steps: one })).toBe("The script could not be made.");
  });

  it("is shown as it was seen last, whatever comes in which order", () => {
    const at = (version: number) => ({ version }) as Run;
    const known = at(3);
    expect(newer(undefined, known)).toBe(known);
    expect(newer(known, at(2))).toBe(known);
    expect(newer(known, at(3))).toBe(known);
    expect(newer(known, at(4)).version).toBe(4);
  });

  it("has a way on for whatever it failed with", () => {
    for (const code of ["byok_key_revoked", "credits_exhausted", "upstream_timeout", "upstream_rejected", "new_code"])
      expect(hintOf(code, "script")).toMatch(/[.]$/);
    expect(hintOf("upstream_credentials_exhausted", "script")).toContain("page Keys");
    expect(hintOf("upstream_credentials_exhausted", "image")).toContain("admin of the instance");
  });
});
