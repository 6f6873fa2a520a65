import { expect, it } from "vitest";
import { placeOf, valueText } from "./values";

it("says values as people read them", () => {
  expect(valueText(true)).toBe("yes");
  expect(valueText(["managed", "byok"])).toBe("managed, byok");
  expect(valueText([])).toBe("none");
  expect(valueText(0)).toBe("0");
  expect(valueText({ enabled: true, models: null })).toBe("enabled: yes; models: –");
  expect(valueText(null)).toBeUndefined();
});

it("tells settings from plans", () => {
  expect(placeOf("settings.modes")).toEqual({ of: "Settings", name: "modes" });
  expect(placeOf("settings.providers.openai.byok")).toEqual({ of: "Settings", name: "providers.openai.byok" });
  expect(placeOf("plans.free.terms.byok")).toEqual({ of: "Plan free", name: "terms.byok" });
  expect(placeOf("plans.free")).toEqual({ of: "Plan free", name: "the whole plan" });
});
