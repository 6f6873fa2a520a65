import type { Page } from "@playwright/test";
import { changedFields, DEFAULTS, formOf } from "../src/pages/instance-settings/form";
import { newKey, unknown } from "./support/keys";
import { logIn } from "./support/people";
import { confirm, expect, look, test } from "./support/test";

async function asRoot(page: Page, url: string, email: string, path: string) {
  await logIn(page, url, email);
  await page.goto(`/console/admin/${path}`);
}

test("settings are changed together after a word on what changes, and what does not fit is told at its place", async ({
  page,
  world,
}) => {
  test.slow();
  await asRoot(page, world.instance.url, world.root.email, "settings");
  const settings = async () => (await page.request.get("/api/v1/admin/settings")).json();
  // What the page calls the default is what a new instance has.
  expect(changedFields(formOf(await settings()), DEFAULTS)).toEqual([]);
  await expect(page.getByRole("heading", { name: "Who pays" })).toBeVisible();
  await look(page, "admin-settings");
  await expect(page.getByText("Not the default")).toHaveCount(0);

  const bar = page.getByRole("region", { name: "Changes" });
  const days = page.getByLabel("How long runs are kept");
  await days.fill("5000");
  await expect(page.getByText("A whole number from 1 to 3650.")).toBeVisible();
  await expect(bar.getByRole("button", { name: "Save…" })).toBeDisabled();
  await days.fill("60");
  await page.getByRole("combobox", { name: "What is shown of a key" }).click();
  await page.getByRole("option", { name: /^How it begins/ }).click();
  const mappings = page.getByRole("group", { name: "Model mappings" });
  await mappings.getByRole("button", { name: "Add mapping" }).click();
  await mappings.getByLabel("Name that is called").fill("house*");
  await mappings.getByLabel("Model that serves").fill("openai/gpt-5.4-nano");
  await expect(bar).toContainText("3 settings changed");
  await look(page, "admin-settings-changed");

  await page.getByRole("navigation", { name: "Instance" }).getByRole("link", { name: "Plans" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Stay here" }).click();
  await bar.getByRole("button", { name: "Save…" }).click();
  const asked = page.getByRole("alertdialog", { name: "Save 3 settings for everybody?" });
  await expect(asked).toContainText("run_retention_days 30 → 60");
  await look(page, "admin-settings-save");
  await asked.getByRole("button", { name: "Save settings" }).click();
  await expect(page.getByText("Settings saved")).toBeVisible();
  await expect(bar).toBeHidden();
  expect(await settings()).toMatchObject({
    run_retention_days: 60,
    mask: "prefix",
    model_mappings: [{ pattern: "house*", model: "openai/gpt-5.4-nano" }],
  });

  // Somebody else's change of another setting stays.
  await mappings.getByRole("button", { name: "Remove mapping 1" }).click();
  await page.request.patch("/api/v1/admin/settings", { data: { default_level: 7 } });
  await page.getByRole("button", { name: /bring it back for What is shown of a key/ }).click();
  await page.getByRole("button", { name: /bring it back for How long runs are kept/ }).click();
  await bar.getByRole("button", { name: "Save…" }).click();
  await confirm(page, "Save settings");
  await expect(bar).toBeHidden();
  const now = await settings();
  expect(changedFields(formOf(now), DEFAULTS)).toEqual(["default_level"]);
  await page.request.patch("/api/v1/admin/settings", { data: { default_level: null } });
});

test("who saves what somebody else changed meanwhile is told, and may do so after that", async ({ page, world }) => {
  await asRoot(page, world.instance.url, world.root.email, "settings");
  const stored = async () => (await (await page.request.get("/api/v1/admin/settings")).json()).model_mappings;
  const theirs = [{ pattern: "theirs*", model: "openai/gpt-5.4-nano" }];
  try {
    const mappings = page.getByRole("group", { name: "Model mappings" });
    await mappings.getByRole("button", { name: "Add mapping" }).click();
    await mappings.getByLabel("Name that is called").fill("mine*");
    await mappings.getByLabel("Model that serves").fill("openai/gpt-5.4-nano");
    await page.getByRole("button", { name: "Save…" }).click();
    const asked = page.getByRole("alertdialog");
    await expect(asked.getByText("Changed by somebody else meanwhile")).toHaveCount(0);
    await page.request.patch("/api/v1/admin/settings", { data: { model_mappings: theirs } });
    await asked.getByRole("button", { name: "Save settings" }).click();
    await expect(asked.getByRole("alert")).toContainText("Somebody else changed what you changed");
    await expect(asked.getByText("Changed by somebody else meanwhile")).toBeVisible();
    await look(page, "admin-settings-overtaken");
    expect(await stored()).toEqual(theirs);
    await confirm(page, "Save settings");
    expect(await stored()).toEqual([{ pattern: "mine*", model: "openai/gpt-5.4-nano" }]);
  } finally {
    await page.request.patch("/api/v1/admin/settings", { data: { model_mappings: null } });
  }
});

test("what the server refuses of the settings is told at its place, and nothing is lost", async ({ page, world }) => {
  await asRoot(page, world.instance.url, world.root.email, "settings");
  const pictures = page.getByRole("group", { name: "Models that make pictures" });
  await pictures.getByRole("button", { name: "Add picture model" }).click();
  await pictures.getByLabel("Provider's id").fill("nobody");
  await pictures.getByLabel("Model of").fill("m");
  await pictures.getByLabel("Credits a picture").fill("2");
  await page.getByRole("button", { name: "Save…" }).click();
  const asked = page.getByRole("alertdialog");
  await asked.getByRole("button", { name: "Save settings" }).click();
  await expect(asked.getByRole("alert")).toContainText("invalid_request");
  await asked.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByText(/must be one of an active provider/)).toBeVisible();
  await expect(pictures.getByLabel("Provider's id")).toHaveValue("nobody");
  await page.getByRole("button", { name: "Discard" }).click();
  await expect(pictures.getByText("None. Runs have no pictures.")).toBeVisible();
});

test("the health page tells how the process fares, and which platform key fails", async ({ page, world }) => {
  test.slow();
  await asRoot(page, world.instance.url, world.root.email, "health");
  await expect(page.getByText("Nothing needs you.")).toBeVisible();
  await expect(page.getByText("SQLite, one file")).toBeVisible();
  await expect(page.getByRole("meter", { name: "Spool" })).toBeVisible();
  await expect(page.getByText("No platform keys")).toBeVisible();
  const key = newKey();
  const data = { provider: "openai", label: "failing", key };
  const stored = await (await page.request.post("/api/v1/admin/platform-keys", { data })).json();
  await world.instance.script({ key, status: 401, body: unknown });
  try {
    const { workspace } = world.root;
    await page.request.patch(`/api/v1/workspaces/${workspace}/policy`, { data: { mode: "managed" } });
    const asked = { name: "health", scopes: ["inference:invoke"] };
    const minted = await (await page.request.post(`/api/v1/workspaces/${workspace}/api-keys`, { data: asked })).json();
    const answer = await page.request.post("/v1/chat/completions", {
      headers: { authorization: `Bearer ${minted.key}` },
      data: { model: "openai/gpt-5.4-nano", messages: [{ role: "user", content: "Hello" }] },
    });
    expect(answer.ok()).toBe(false);
    await expect(page.getByText(/turned 1 platform key away/)).toBeVisible({ timeout: 60_000 });
    const row = page.getByRole("row").filter({ hasText: "failing" });
    await expect(row).toContainText("Fails");
    await expect(row).toContainText("the provider does not know the key");
    await look(page, "admin-health");
  } finally {
    await world.instance.reset();
    await page.request.delete(`/api/v1/admin/platform-keys/${stored.id}`);
  }
});

test("the instance's log is cut down by action and day, and the choice stands in the address", async ({
  page,
  owner,
  world,
}) => {
  const { url } = world.instance;
  await logIn(page, url, world.root.email);
  await page.request.patch("/api/v1/admin/settings", { data: { default_level: 3 } });
  await page.request.patch("/api/v1/admin/settings", { data: { default_level: null } });
  await page.goto("/console/admin/audit");
  const log = page.getByRole("region", { name: "Audit log" });
  await expect(log.getByRole("row").filter({ hasText: "settings.update" }).first()).toContainText("you");
  await look(page, "admin-audit");
  await page.getByRole("combobox", { name: "Action" }).click();
  await page.getByRole("option", { name: "session.create" }).click();
  await expect(log.getByRole("row").filter({ hasText: "settings.update" })).toHaveCount(0);
  await expect(log.getByRole("row").filter({ hasText: owner.email }).first()).toBeVisible();
  await page.getByLabel("To", { exact: true }).fill("2020-01-01");
  await expect(page.getByText("No such entry")).toBeVisible();
  await page.reload();
  await expect(page.getByText("No such entry")).toBeVisible();
  await page.getByRole("button", { name: "Show all" }).click();
  await expect(log.getByRole("row").filter({ hasText: "settings.update" }).first()).toBeVisible();
});

test("the models behind tiers are picked, and who can set them is told where none is set", async ({ page, world }) => {
  const { url } = world.instance;
  await logIn(page, url, world.root.email);
  await page.goto(`/console/w/${world.root.workspace}/models`);
  const note = page.getByText("Nobody chose a model for the whole instance yet");
  await expect(note).toBeVisible();
  const standing = page.getByRole("listitem").filter({ hasText: "When a call leaves the choice open" });
  await expect(standing).toContainText(/Refused\s*nobody chose a model/);
  await look(page, "models-none-chosen");
  await note.getByRole("link", { name: "Settings" }).click();

  const tiers = page.getByRole("group", { name: "Models behind tiers" });
  const level1 = tiers.getByRole("combobox", { name: "Level 1" });
  await expect(level1).toHaveValue("None");
  await level1.fill("5.4-nano");
  await level1.press("Enter");
  await expect(level1).toHaveValue("openai/gpt-5.4-nano");
  // Models for embeddings are in no list: a name is taken as it is typed.
  const embeddings = tiers.getByRole("combobox", { name: "Embeddings" });
  await embeddings.fill("text-embedding-3-small");
  await embeddings.press("Enter");
  await expect(embeddings).toHaveValue("text-embedding-3-small");
  await tiers.scrollIntoViewIfNeeded();
  await look(page, "admin-settings-tiers");
  try {
    await page.getByRole("button", { name: "Save…" }).click();
    await confirm(page, "Save settings");
    const { tiers: stored } = await (await page.request.get("/api/v1/admin/settings")).json();
    expect(stored).toMatchObject({ level_1: "openai/gpt-5.4-nano", embeddings: "text-embedding-3-small" });
    await page.goto(`/console/w/${world.root.workspace}/models`);
    await expect(page.getByText("openai/gpt-5.4-nano, chosen by the instance")).toBeVisible();
    await expect(note).toHaveCount(0);
  } finally {
    await page.request.patch("/api/v1/admin/settings", { data: { tiers: { level_1: null, embeddings: null } } });
  }
});
