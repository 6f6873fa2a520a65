import { describe, expect, it } from "vitest";
import { MODEL, nameOf, OWN_KEY, PLATFORM_KEY, PROVIDER, WORKSPACE } from "./dimensions";
import type { Group } from "./queries";

const group = (fields: Partial<Group>) => fields as Group;

describe("what calls are told apart by", () => {
  it("names a key whose label is hidden by whose it is, and one that is gone by its id", () => {
    const key = { provider: "openai", provider_key_id: "pk_1" };
    expect(nameOf(OWN_KEY, group({ ...key, key_label: "prod", key_scope: "workspace" }))).toBe("openai: prod");
    expect(nameOf(OWN_KEY, group({ ...key, key_scope: "account" }))).toBe("openai: personal key of the owner");
    expect(nameOf(OWN_KEY, group({ ...key, key_scope: "workspace" }))).toBe("openai: key of the workspace");
    expect(nameOf(OWN_KEY, group(key))).toBe("Removed key pk_1");
    expect(nameOf(OWN_KEY, group({ provider: "openai" }))).toBe("openai: no own key");
    expect(nameOf(PLATFORM_KEY, group({ provider: "openai" }))).toBe("openai: no platform key");
  });

  it("tells workspaces that are called alike apart", () => {
    const workspace = { workspace_id: "ws_1", workspace_name: "Personal" };
    expect(nameOf(WORKSPACE, group({ ...workspace, account_name: "ann" }))).toBe("Personal · ann");
    expect(nameOf(WORKSPACE, group({ workspace_id: "ws_1", account_name: "ann" }))).toBe("Removed workspace ws_1");
  });

  it("lets go of the model with its provider", () => {
    expect(PROVIDER.clears).toContain("model");
    expect(MODEL.clears).toContain("provider");
  });
});
