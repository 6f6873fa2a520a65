import { randomBytes } from "node:crypto";
import { type APIRequestContext, type Page, request } from "@playwright/test";
import { call, mint } from "./support/calls";
import { logIn, PASSWORD, post } from "./support/people";
import { expect, look, test } from "./support/test";

async function asAdmin(url: string, email: string): Promise<APIRequestContext> {
  const context = await request.newContext({ baseURL: url });
  await post(context, "/api/v1/sessions", { email, password: PASSWORD });
  return context;
}

test("the ledger says what came, what a call took, and the balance after each; older entries come in parts", async ({
  page,
  owner,
  world,
}) => {
  test.slow();
  const { url } = world.instance;
  const admin = await asAdmin(url, world.root.email);
  const credits = `/api/v1/admin/accounts/${owner.account}/credits`;
  for (let number = 1; number <= 50; number += 1)
    await post(admin, credits, { kind: "grant", credits: "1", reference: `invoice ${number}` });
  const key = `sk-proj-${randomBytes(24).toString("hex")}`;
  const stored = await post(admin, "/api/v1/admin/platform-keys", { provider: "openai", label: "ledger", key });
  await page.request.patch(`/api/v1/workspaces/${owner.workspace}/policy`, { data: { mode: "managed" } });
  const minted = await mint(page, url, owner.workspace, "ledger");
  expect(await call(url, minted.key, "openai/gpt-5.4-nano")).toBe(200);

  await page.goto("/console/account/credits");
  const ledger = page.getByRole("region", { name: "Ledger" });
  const charge = ledger.getByRole("row").filter({ hasText: "Charge" });
  await expect(charge).toContainText("req_");
  await expect(charge.getByRole("cell").nth(3)).toHaveText("299.999 credits");
  await expect(ledger.getByRole("row").filter({ hasText: "invoice 50" })).toContainText("+1 credit");
  await expect(ledger.getByRole("row").filter({ hasText: "invoice 50" })).toContainText("300 credits");
  await expect(ledger.getByRole("row").filter({ hasText: "invoice 49" })).toContainText("299 credits");
  await look(page, "account-credits");
  await expect(ledger.getByRole("row")).toHaveCount(51);
  await page.getByRole("button", { name: "Show more" }).click();
  await expect(ledger.getByRole("row")).toHaveCount(53);
  await expect(ledger.getByRole("row").last()).toContainText("+250 credits");
  await expect(ledger.getByRole("row").last()).toContainText("Included in the plan");
  await expect(ledger.getByRole("row").last().getByRole("cell").nth(3)).toHaveText("250 credits");

  // Narrowed down it has the same balances; what it is narrowed down to stands in the address.
  await page.getByRole("combobox", { name: "Kind" }).click();
  await page.getByRole("option", { name: "Charge" }).click();
  await expect(page).toHaveURL(/kind=charge/);
  await expect(ledger.getByRole("row")).toHaveCount(2);
  await expect(charge.getByRole("cell").nth(3)).toHaveText("299.999 credits");
  await look(page, "account-credits-narrowed");
  await page.goto("/console/account/credits?kind=grant&to=2020-01-01");
  await expect(page.getByText("No entry is as you chose.")).toBeVisible();
  await page.getByRole("button", { name: "Show all" }).click();
  await expect(ledger.getByRole("row")).toHaveCount(51);
  await admin.delete(`/api/v1/admin/platform-keys/${stored.id}`);
  await admin.dispose();
});

test("the plan says what it gives, how much is used, and who changes it", async ({ page, owner: _ }) => {
  await page.goto("/console/account/plan");
  await expect(page.getByRole("heading", { name: "Your plan: Free" })).toBeVisible();
  const workspaces = page.getByRole("meter", { name: "Workspaces" });
  await expect(workspaces).toHaveAttribute("aria-valuetext", "1 of 2");
  await expect(page.getByRole("row").filter({ hasText: "Yours" })).toContainText("250 credits");
  await expect(page.getByText("An admin of the instance changes the plan of an account")).toBeVisible();
  await look(page, "account-plan");
  await post(page.request, "/api/v1/workspaces", { name: "Second" });
  await expect(page.getByText("Full", { exact: true })).toBeVisible({ timeout: 30_000 });
});

test("new workspaces start with the defaults of the account", async ({ page, owner: _ }) => {
  await page.goto("/console/account/defaults");
  await expect(page.getByText("in a workspace that is made now")).toBeVisible();
  const save = page.getByRole("button", { name: "Save defaults" });
  await expect(save).toBeDisabled();
  await page.getByRole("combobox", { name: "Mode", exact: true }).click();
  await page.getByRole("option", { name: /^Own keys, else credits/ }).click();
  await page.getByRole("combobox", { name: "Provider" }).fill("Anthropic");
  await page.getByRole("option", { name: /^Anthropic/ }).click();
  await look(page, "account-defaults");
  await save.click();
  await expect(page.getByText("Defaults saved")).toBeVisible();
  await expect(save).toBeDisabled();
  await page.reload();
  await expect(page.getByRole("combobox", { name: "Mode", exact: true })).toContainText("Own keys, else credits");
  await expect(page.getByRole("combobox", { name: "Provider" })).toHaveValue("Anthropic");
  const made = await post(page.request, "/api/v1/workspaces", { name: "Second" });
  const policy = await (await page.request.get(`/api/v1/workspaces/${made.id}/policy`)).json();
  expect(policy).toMatchObject({ mode: "auto", provider: "anthropic" });

  // A change that nobody saved is not lost unasked.
  await page.getByRole("combobox", { name: "Mode", exact: true }).click();
  await page.getByRole("option", { name: /^As the instance says/ }).click();
  await page.getByRole("navigation", { name: "Account" }).getByRole("link", { name: "Plan" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Stay here" }).click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByRole("combobox", { name: "Mode", exact: true })).toContainText("Own keys, else credits");
});

test("a mode that the instance does not offer cannot be chosen for new workspaces", async ({
  page,
  owner: _,
  world,
}) => {
  const admin = await asAdmin(world.instance.url, world.root.email);
  await admin.patch("/api/v1/admin/settings", { data: { modes: ["byok", "auto"] } });
  try {
    await page.goto("/console/account/defaults");
    await page.getByRole("combobox", { name: "Mode", exact: true }).click();
    await expect(page.getByRole("option", { name: /^Credits/ })).toBeDisabled();
    await expect(page.getByRole("option", { name: /^Credits/ })).toContainText("Not offered by this instance");
    await expect(page.getByRole("option", { name: /^Own keys, else credits/ })).toBeEnabled();
  } finally {
    await admin.patch("/api/v1/admin/settings", { data: { modes: null } });
    await admin.dispose();
  }
});

test("the account's log tells what was done with it", async ({ page, owner: _ }) => {
  await page.request.put("/api/v1/users/me/ai-mode", { data: { mode: "byok" } });
  await page.goto("/console/account/audit");
  const row = page.getByRole("row").filter({ hasText: "ai_defaults.set_mode" });
  await expect(row).toContainText("you");
  await look(page, "account-audit");
});

test("credits that are given show at once, and so does what an admin does to the instance", async ({
  page,
  owner,
  world,
  browser,
}) => {
  const { url } = world.instance;
  const admin = await asAdmin(url, world.root.email);
  // Sooner than the page would ask by itself.
  const soon = { timeout: 10_000 };
  // What comes before the stream is there is not told by it.
  const opened = (on: Page) => on.waitForResponse((answer) => answer.url().endsWith("/events"));
  let stream = opened(page);
  await page.goto("/console/account/credits");
  await stream;
  const ledger = page.getByRole("region", { name: "Ledger" });
  await expect(ledger.getByRole("row")).toHaveCount(2);
  await post(admin, `/api/v1/admin/accounts/${owner.account}/credits`, {
    kind: "grant",
    credits: "7",
    reference: "a gift",
  });
  await expect(ledger.getByRole("row").filter({ hasText: "a gift" })).toContainText("+7 credits", soon);

  const root = await (await browser.newContext({ baseURL: url, locale: "en-US" })).newPage();
  await logIn(root, url, world.root.email);
  stream = opened(root);
  await root.goto("/console/admin/plans");
  await stream;
  await expect(root.getByRole("row").filter({ hasText: "Free" })).toBeVisible();
  const terms = { monthly_credits: 5, byok: true, tiers: ["level_1", "embeddings"], limits: {} };
  const made = await admin.put("/api/v1/admin/plans/live", { data: { name: "Live plan", rank: 9, terms } });
  expect(made.ok()).toBe(true);
  await expect(root.getByRole("row").filter({ hasText: "Live plan" })).toBeVisible(soon);
  await admin.delete("/api/v1/admin/plans/live");
  await root.context().close();
  await admin.dispose();
});
