import { randomBytes } from "node:crypto";
import { type Page, request } from "@playwright/test";
import { PASSWORD, post } from "./support/people";
import { confirm, expect, joined, look, test } from "./support/test";

test("after adding a key its models appear without a reload", async ({ page, owner }) => {
  await page.goto(`/console/w/${owner.workspace}/models?show=mine`);
  await expect(page.getByText("No models of your own yet")).toBeVisible();
  await look(page, "models-empty");
  await page.evaluate(() => Object.assign(window, { same: true }));
  await page.getByRole("button", { name: "Add a provider key" }).click();
  await page.getByRole("combobox", { name: "Provider" }).fill("OpenAI");
  await page.getByRole("option", { name: /^OpenAI sk-/ }).click();
  await page.getByLabel("Key", { exact: true }).fill(`sk-proj-${randomBytes(24).toString("hex")}`);
  await page.getByRole("button", { name: "Seal and add" }).click();
  await page.getByRole("button", { name: "Done" }).click();
  const row = page.getByRole("row").filter({ hasText: "openai/gpt-5.4-nano" });
  await expect(row).toContainText("Own key");
  await expect(row).toContainText("$0.20");
  await expect(page.getByRole("row").filter({ hasText: "anthropic/" })).toHaveCount(0);

  await page.getByRole("combobox", { name: "Which models" }).click();
  await page.getByRole("option", { name: "Refused" }).click();
  await expect(page).toHaveURL(/show=refused/);
  await expect(page.getByRole("row").filter({ hasText: "anthropic/claude-haiku-4-5" })).toContainText(
    "there is no own key for it",
  );
  await page.getByRole("searchbox", { name: "Find a model" }).fill("haiku");
  await expect(page).toHaveURL(/find=haiku/);
  await expect(page.getByRole("row").filter({ hasText: "opus" })).toHaveCount(0);
  expect(await page.evaluate(() => "same" in window)).toBe(true);
});

async function storeKey(page: Page, workspace: string) {
  const key = `sk-proj-${randomBytes(24).toString("hex")}`;
  const keys = `/api/v1/workspaces/${workspace}/provider-keys`;
  await post(page.request, keys, { provider: "openai", label: "primary", key });
}

/** Calls a model by this name; which one answered. */
async function answering(page: Page, workspace: string, model: string) {
  const scopes = ["inference:invoke"];
  const minted = await post(page.request, `/api/v1/workspaces/${workspace}/api-keys`, { name: "test", scopes });
  const answer = await fetch(new URL("/v1/chat/completions", page.url()), {
    method: "POST",
    headers: { authorization: `Bearer ${minted.key}`, "content-type": "application/json" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "hello" }] }),
  });
  await answer.text();
  return answer.headers.get("x-keybearer-model");
}

test("tiers and default are chosen, and a call meets them", async ({ page, owner }) => {
  await storeKey(page, owner.workspace);
  await page.goto(`/console/w/${owner.workspace}/models?find=gpt-5`);

  // The plan Free opens level 1 alone.
  await expect(page.getByText(/^Locked by the plan free; pro, ultra, enterprise open it$/)).toHaveCount(2);
  await expect(page.getByRole("combobox", { name: "Level 2", exact: true })).toHaveCount(0);
  await page.getByRole("combobox", { name: "Level 1", exact: true }).fill("5.4-nano");
  await page.screenshot({ path: "../target/console-screenshots/models-picker.png", animations: "disabled" });
  await page.getByRole("option", { name: /^openai\/gpt-5.4-nano/ }).click();
  await expect(page.getByText("Choice saved")).toBeVisible();
  await expect(page.getByText("openai/gpt-5.4-nano, chosen by this workspace")).toBeVisible();

  // Out of a list, as the others; another one can be typed.
  await page.getByRole("combobox", { name: "Embeddings", exact: true }).fill("embedding-3-s");
  await page.getByRole("option", { name: "openai/text-embedding-3-small" }).click();
  await expect(page.getByRole("listitem").filter({ hasText: "Texts as vectors" })).toContainText("Own key");
  for (const model of ["default", "level_1"]) {
    expect(await answering(page, owner.workspace, model), model).toBe("gpt-5.4-nano");
  }
  await look(page, "models");
});

test("names are mapped, and a call meets the mapping", async ({ page, owner }) => {
  await storeKey(page, owner.workspace);
  await page.goto(`/console/w/${owner.workspace}/models?find=gpt-5`);
  await page.getByRole("button", { name: "Add model mapping" }).click();
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("alert")).toContainText("A name is missing.");
  await page.getByLabel("Name 1").fill("gpt-3.5*");
  await page.getByLabel("Model 1").fill("openai/gpt-5.4-nano");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Mapping saved")).toBeVisible();
  await page.getByRole("button", { name: "Add key level" }).click();
  await page.getByLabel("Name 1").last().fill("claude*");
  await page.getByLabel("Level of keys 1").fill("two");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("alert")).toContainText("a whole number");
  await page.getByLabel("Level of keys 1").fill("2");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Key levels saved")).toBeVisible();
  await page.reload();
  await expect(page.getByLabel("Model 1")).toHaveValue("openai/gpt-5.4-nano");
  await expect(page.getByLabel("Level of keys 1")).toHaveValue("2");
  expect(await answering(page, owner.workspace, "gpt-3.5-turbo")).toBe("gpt-5.4-nano");
  await page.getByRole("button", { name: "Remove model mapping 1" }).click();
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("None. Names of models stand for themselves.")).toBeVisible();
});

test("a preset is made, met by a call and taken out", async ({ page, owner }) => {
  await storeKey(page, owner.workspace);
  await page.goto(`/console/w/${owner.workspace}/models?find=gpt-5`);
  await page.getByRole("button", { name: "Add preset" }).click();
  await page.getByLabel("Preset 1", { exact: true }).fill("Fast");
  await page.getByLabel("Models of preset 1").fill("openai/gpt-5.4-nano:cost, level_1");
  await page.getByRole("button", { name: "Save" }).click();
  const name = page.getByLabel("Preset 1", { exact: true });
  await expect(name).toBeFocused();
  await expect(name).toHaveAccessibleDescription(/begins with a letter/);
  await name.fill("fast");
  await page.getByLabel("Temperature 1").fill("0.2");
  await page.getByLabel("System prompt 1").fill("Be brief.");
  await look(page, "models-preset");
  await page.getByLabel("System prompt 1").press("Tab");
  await page.getByRole("button", { name: "Save" }).press("Enter");
  await expect(page.getByText("Presets saved")).toBeVisible();
  await page.reload();
  await expect(page.getByLabel("Models of preset 1")).toHaveValue("openai/gpt-5.4-nano:cost, level_1");
  expect(await answering(page, owner.workspace, "@fast")).toBe("gpt-5.4-nano");
  await page.goto(`/console/w/${owner.workspace}/explain?model=@fast&asked=yes`);
  await expect(page.getByText(/the preset fast/)).toBeVisible();
  await expect(page.getByText(/its providers ranked by cost/)).toBeVisible();
  await expect(page.getByRole("list", { name: "In which order" })).toContainText("for 3000 tokens in and 1000 out");
  await page.goto(`/console/w/${owner.workspace}/playground`);
  await page.getByRole("combobox", { name: "Model" }).fill("@fa");
  await page.getByRole("option", { name: /^@fast/ }).click();
  await page.getByLabel("Message").fill("Say hello.");
  await page.getByRole("button", { name: "Send" }).click();
  await expect(page.getByRole("list", { name: "Conversation" })).toContainText("Hello from upstream.");
  await page.goto(`/console/w/${owner.workspace}/models?find=gpt-5`);
  // What a colleague adds while one edits stays.
  await expect(page.getByLabel("Models of preset 1")).toHaveValue("openai/gpt-5.4-nano:cost, level_1");
  await page.getByLabel("Temperature 1").fill("0.3");
  const reread = page.waitForResponse((response) => response.url().endsWith("/policy"), { timeout: 30_000 });
  const added = { presets: { theirs: { models: ["level_1"] } } };
  await page.request.patch(`/api/v1/workspaces/${owner.workspace}/policy`, { data: added });
  await (await reread).finished();
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Presets saved")).toBeVisible();
  await expect(page.getByLabel("Preset 2", { exact: true })).toHaveValue("theirs");
  await page.getByRole("button", { name: "Remove preset 2" }).click();
  await page.getByRole("button", { name: "Remove preset 1" }).click();
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("None. Requests name models and say the rest themselves.")).toBeVisible();
});

test("what somebody else changed meanwhile is shown before it is overwritten, and nothing typed is lost", async ({
  page,
  owner,
}) => {
  const policy = `/api/v1/workspaces/${owner.workspace}/policy`;
  const stored = async () => (await page.request.get(policy)).json();
  const theirs = async (data: object) => expect((await page.request.patch(policy, { data })).ok()).toBe(true);
  await theirs({ presets: { fast: { models: ["openai/gpt-5.4-nano"] } } });
  await page.goto(`/console/w/${owner.workspace}/models?find=gpt-5`);
  await page.getByLabel("Temperature 1").fill("0.3");
  await theirs({ presets: { fast: { models: ["openai/gpt-5.4"] }, other: { models: ["level_1"] } } });
  const save = page.getByRole("button", { name: "Save" });
  await save.click();
  const told = page.getByRole("alert").filter({ hasText: "Somebody else changed what you change" });
  await expect(told).toContainText("presets.fast is now");
  await expect(told).toContainText("openai/gpt-5.4");
  await expect(told).not.toContainText("presets.other");
  await expect(page.getByLabel("Temperature 1")).toHaveValue("0.3");
  await look(page, "models-overtaken");
  expect((await stored()).presets.fast.models).toEqual(["openai/gpt-5.4"]);
  await save.click();
  await expect(page.getByText("Presets saved")).toBeVisible();
  const { presets } = await stored();
  expect(presets.fast).toMatchObject({ models: ["openai/gpt-5.4-nano"], parameters: { temperature: "0.3" } });
  expect(presets.other.models).toEqual(["level_1"]);

  // Cancelled, the page has theirs.
  await page.getByRole("button", { name: "Add model mapping" }).click();
  await page.getByLabel("Name 1").fill("mine*");
  await page.getByLabel("Model 1", { exact: true }).fill("openai/gpt-5.4-nano");
  await theirs({ model_mappings: [{ pattern: "theirs*", model: "openai/gpt-5.4" }] });
  await save.click();
  await expect(told).toContainText("model_mappings is now");
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(told).toBeHidden();
  await expect(page.getByLabel("Name 1")).toHaveValue("theirs*");

  await page.goto(`/console/w/${owner.workspace}/ai-config`);
  await page.getByLabel("Hedge after milliseconds").fill("500");
  await theirs({ hedge_after_ms: 700 });
  await page.getByRole("button", { name: "Save hedging" }).click();
  await expect(told).toContainText("hedge_after_ms is now 700");
  await page.getByRole("button", { name: "Save hedging" }).click();
  await expect(page.getByText("Hedging saved")).toBeVisible();
  expect((await stored()).hedge_after_ms).toBe(500);
});

test("a preset is the default model, and stands in the picker of the Studio", async ({ page, owner }) => {
  await storeKey(page, owner.workspace);
  const presets = { fast: { models: ["openai/gpt-5.4-nano"] } };
  await page.request.patch(`/api/v1/workspaces/${owner.workspace}/policy`, { data: { presets } });
  await page.goto(`/console/w/${owner.workspace}/models?find=gpt-5`);
  await page.getByRole("combobox", { name: "Default model" }).fill("@fa");
  await page.getByRole("option", { name: /^@fast/ }).click();
  await expect(page.getByText("Choice saved")).toBeVisible();
  expect(await answering(page, owner.workspace, "default")).toBe("gpt-5.4-nano");
  await page.goto(`/console/w/${owner.workspace}/studio?new`);
  await page.getByRole("combobox", { name: "Model" }).fill("@fa");
  await page.getByRole("option", { name: /^@fast/ }).click();
  await page.getByLabel("Prompt").fill("Tides");
  const made = page.waitForResponse((response) => response.request().method() === "POST");
  await page.getByRole("button", { name: "Start" }).click();
  expect((await (await made).json()).model).toMatchObject({ requested: "@fast", model: "gpt-5.4-nano" });
});

test("an admin of the instance switches own keys off and on, and the models follow", async ({ page, owner, world }) => {
  await storeKey(page, owner.workspace);
  const admin = await request.newContext({ baseURL: world.instance.url });
  await post(admin, "/api/v1/sessions", { email: world.root.email, password: PASSWORD });
  await page.goto(`/console/w/${owner.workspace}/models?find=gpt-5.4-nano`);
  const row = page.getByRole("row").filter({ hasText: "openai/gpt-5.4-nano" });
  await expect(row).toContainText("Own key");
  try {
    await admin.patch("/api/v1/admin/providers/openai", { data: { byok: false } });
    await expect(row).toContainText("own keys are switched off for its provider", { timeout: 30_000 });
  } finally {
    await admin.patch("/api/v1/admin/providers/openai", { data: { byok: null } });
    await admin.dispose();
  }
  await expect(row).toContainText("Own key", { timeout: 30_000 });
});

test("a member sees models and changes nothing", async ({ page, owner, browser, world }) => {
  const member = await joined(page, browser, world.instance.url, owner.workspace, "member");
  await member.page.goto(`/console/w/${owner.workspace}/models`);
  await expect(member.page.getByRole("row").filter({ hasText: "openai/gpt-5.4-nano" })).toBeVisible();
  await expect(member.page.getByRole("combobox", { name: "Level 1" })).toHaveCount(0);
  await expect(member.page.getByRole("button", { name: /^Add/ })).toHaveCount(0);
  await member.page.context().close();
});

test("prices of a workspace are what calls on its own keys cost, beside those that somebody else wrote", async ({
  page,
  owner,
  world,
}) => {
  await storeKey(page, owner.workspace);
  const policy = `/api/v1/workspaces/${owner.workspace}/policy`;
  const prices = async () => (await (await page.request.get(policy)).json()).prices;
  await page.goto(`/console/w/${owner.workspace}/models?find=gpt-5`);
  const heading = page.getByRole("heading", { name: "Negotiated prices" });
  const part = page.locator("section").filter({ has: heading }).last();
  await expect(part).toContainText("None. The instance's prices count, then list prices.");
  await page.getByRole("button", { name: "Add negotiated price" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("combobox", { name: "Provider" }).fill("OpenAI");
  await page.getByRole("option", { name: "OpenAI", exact: true }).click();
  await dialog.getByLabel("Models").fill("gpt-5.4-nano");
  await dialog.getByLabel("Input", { exact: true }).fill("1000");
  await dialog.getByLabel("Output", { exact: true }).fill("2000");
  await look(page, "models-price");
  const theirs = { provider: "anthropic", model: "claude-*", price: { input: "1", output: "2" } };
  const patched = await page.request.patch(policy, { data: { prices: [theirs] } });
  expect(patched.ok()).toBe(true);
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog).toBeHidden();
  expect(await prices()).toMatchObject([theirs, { provider: "openai", model: "gpt-5.4-nano" }]);
  await expect(part).toContainText("$1000.00 in, $2000.00 out");
  await look(page, "models-prices");

  expect(await answering(page, owner.workspace, "openai/gpt-5.4-nano")).toBe("gpt-5.4-nano");
  // 19 tokens in, 5 out.
  const usage = `${world.instance.url}/api/v1/workspaces/${owner.workspace}/usage`;
  await expect.poll(async () => (await (await page.request.get(usage)).json()).data[0]?.cost_nano_usd).toBe(29_000_000);

  await page.getByRole("button", { name: "Edit the price of openai/gpt-5.4-nano" }).click();
  await expect(dialog.getByRole("combobox", { name: "Provider" })).toHaveCount(0);
  await dialog.getByLabel("Input", { exact: true }).fill("3");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog).toBeHidden();
  await expect(part).toContainText("$3.00 in, $2000.00 out");
  for (const name of ["openai/gpt-5.4-nano", "anthropic/claude-*"]) {
    await page.getByRole("button", { name: `Remove the price of ${name}` }).click();
    await confirm(page, "Remove price");
  }
  await expect(part).toContainText("None. The instance's prices count");
  expect(await prices()).toEqual([]);
});
