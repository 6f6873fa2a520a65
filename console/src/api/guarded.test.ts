import { expect, it } from "vitest";
import { follow } from "./guarded";

it("a form follows what somebody else changed, and keeps what was edited in it", () => {
  const base = { name: "Team", monthly: "100", tiers: ["level_1"] };
  const edited = { ...base, monthly: "200", name: "Ours" };
  const now = { ...base, tiers: ["level_1", "level_2"], name: "Theirs" };
  expect(follow(edited, base, now)).toEqual({
    form: { ...now, monthly: "200", name: "Ours" },
    theirs: ["name"],
  });
  expect(follow(edited, base, { ...base, name: "Ours" }).theirs).toEqual([]);
  expect(follow({ ...base, tiers: [] }, base, now).form.tiers).toEqual([]);
  // What is not told to the server is no change.
  const counts = (form: typeof base) => ({ ...form, tiers: form.tiers.filter(Boolean) });
  expect(follow({ ...base, tiers: ["level_1", ""] }, base, now, counts)).toEqual({ form: now, theirs: [] });
});
