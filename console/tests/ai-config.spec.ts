import { randomBytes } from "node:crypto";
import { type APIRequestContext, type Page, request } from "@playwright/test";
import { PASSWORD, post } from "./support/people";
import { confirm, expect, joined, look, test } from "./support/test";

/** Stores a key as a program would, in plain text over loopback. */
async function storeKey(page: Page, workspace: string, label = "primary") {
  const key = `sk-proj-${randomBytes(24).toString("hex")}`;
  await post(page.request, `/api/v1/workspaces/${workspace}/provider-keys`, { provider: "openai", label, key });
}

async function asAdmin(url: string, email: string): Promise<APIRequestContext> {
  const context = await request.newContext({ baseURL: url });
  await post(context, "/api/v1/sessions", { email, password: PASSWORD });
  return context;
}

async function call(page: Page, workspace: string) {
  const minted = await post(page.request, `/api/v1/workspaces/${workspace}/api-keys`, {
    name: "test",
    scopes: ["inference:invoke"],
  });
  const answer = await fetch(new URL("/v1/chat/completions", page.url()), {
    method: "POST",
    headers: { authorization: `Bearer ${minted.key}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "openai/gpt-5.4-nano", messages: [{ role: "user", content: "hello" }] }),
  });
  return { status: answer.status, source: answer.headers.get("x-keybearer-key-source"), body: await answer.text() };
}

test("the mode is switched after a word on who pays, and counts from the next call", async ({ page, owner, world }) => {
  await storeKey(page, owner.workspace);
  await page.goto(`/console/w/${owner.workspace}/ai-config`);
  await expect(page.getByText("An own key serves", { exact: true })).toBeVisible();
  await expect(page.getByRole("radio", { name: "Own keys", exact: true })).toBeChecked();
  await look(page, "ai-config");
  expect(await call(page, owner.workspace)).toMatchObject({ status: 200, source: "byok" });

  await page.getByRole("radio", { name: "Credits", exact: true }).click();
  await page.getByRole("button", { name: "Change mode" }).click();
  const dialog = page.getByRole("alertdialog");
  await expect(dialog).toContainText("Keys of the instance serve and credits pay");
  await expect(dialog).toContainText("The instance has no key that serves where credits pay");
  await look(page, "ai-config-switch");
  await dialog.getByRole("button", { name: "Change mode" }).click();
  await expect(page.getByText("Mode changed")).toBeVisible();
  // There is no key of the instance here, and the own key is not looked at.
  await expect(page.getByText("Calls are refused", { exact: true })).toBeVisible();
  await expect(page.getByText("The instance has no key that serves where credits pay").first()).toBeVisible();
  await look(page, "ai-config-no-platform-key");
  expect(await call(page, owner.workspace)).toMatchObject({ status: 402 });

  const admin = await asAdmin(world.instance.url, world.root.email);
  const key = `sk-proj-${randomBytes(24).toString("hex")}`;
  const stored = await post(admin, "/api/v1/admin/platform-keys", { provider: "openai", label: "platform", key });
  expect(await call(page, owner.workspace)).toMatchObject({ status: 200, source: "managed" });
  await page.reload();
  await expect(page.getByText("Credits pay", { exact: true })).toBeVisible();
  await admin.delete(`/api/v1/admin/platform-keys/${stored.id}`);
  await admin.dispose();

  // By the keyboard: the arrows choose, Escape leaves all as it is.
  await page.getByRole("radio", { name: "Credits", exact: true }).focus();
  await page.keyboard.press("ArrowUp");
  await expect(page.getByRole("radio", { name: "Own keys, else credits" })).toBeChecked();
  await page.getByRole("button", { name: "Change mode" }).press("Enter");
  await expect(dialog).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByRole("radio", { name: "Credits", exact: true })).toBeChecked();
});

test("an admin of the instance switches own keys off and on, and the page follows", async ({ page, owner, world }) => {
  await storeKey(page, owner.workspace);
  const admin = await asAdmin(world.instance.url, world.root.email);
  const byok = (on: boolean | null) => admin.patch("/api/v1/admin/providers/openai", { data: { byok: on } });
  await page.goto(`/console/w/${owner.workspace}/ai-config`);
  await expect(page.getByText("An own key serves", { exact: true })).toBeVisible();
  try {
    expect((await byok(false)).status()).toBe(200);
    // By itself, without a reload.
    await expect(page.getByText("Calls are refused", { exact: true })).toBeVisible({ timeout: 30_000 });
    const refused = await call(page, owner.workspace);
    expect(refused.status).toBe(402);
    expect(refused.body).toContain("byok_disabled_for_provider");
    await look(page, "ai-config-byok-off");
    await page.getByRole("main").getByRole("link", { name: "Keys" }).click();
    await expect(page.getByRole("listitem").filter({ hasText: "primary" })).toContainText("Resting");
  } finally {
    await byok(null);
    await admin.dispose();
  }
  await page.goto(`/console/w/${owner.workspace}/ai-config`);
  await expect(page.getByText("An own key serves", { exact: true })).toBeVisible();
  expect(await call(page, owner.workspace)).toMatchObject({ status: 200, source: "byok" });
});

test("consent has a cap, and the guardrail stands above the mode", async ({ page, owner }) => {
  await page.goto(`/console/w/${owner.workspace}/ai-config`);
  await page.getByRole("checkbox", { name: "Credits may pay after every own key failed" }).click();
  await page.getByLabel("Cap in credits").fill("a lot");
  await page.getByRole("button", { name: "Save consent" }).click();
  await expect(page.getByText("A number of credits below")).toBeVisible();
  await page.getByLabel("Cap in credits").fill("250.5");
  await page.getByRole("button", { name: "Save consent" }).click();
  await expect(page.getByText("Consent saved")).toBeVisible();
  await page.getByRole("radio", { name: "Never own keys" }).click();
  await page.getByRole("button", { name: "Change guardrail" }).click();
  await confirm(page, "Change guardrail");
  await expect(page.getByText("Guardrail changed")).toBeVisible();
  await expect(page.getByText("and the guardrail below forbids them")).toBeVisible();
  await page.reload();
  await expect(page.getByLabel("Cap in credits")).toHaveValue("250.5");
  await expect(page.getByRole("radio", { name: "Never own keys" })).toBeChecked();
});

test("calls are hedged after a time within its bounds, and never without one", async ({ page, owner }) => {
  await page.goto(`/console/w/${owner.workspace}/ai-config`);
  const after = page.getByLabel("Hedge after milliseconds");
  await expect(after).toHaveValue("");
  await after.fill("99");
  await page.getByRole("button", { name: "Save hedging" }).click();
  await expect(page.getByText("A whole number of milliseconds from 100 to 60000")).toBeVisible();
  await after.fill("1500");
  await page.getByRole("button", { name: "Save hedging" }).click();
  await expect(page.getByText("Hedging saved")).toBeVisible();
  await page.reload();
  await expect(after).toHaveValue("1500");
  await after.fill("");
  await page.getByRole("button", { name: "Save hedging" }).click();
  await expect(page.getByText("Hedging saved")).toBeVisible();
  await page.reload();
  await expect(after).toHaveValue("");
});

test("a mode that the instance does not offer says so and cannot be chosen", async ({ page, owner, world }) => {
  const admin = await asAdmin(world.instance.url, world.root.email);
  await admin.patch("/api/v1/admin/settings", { data: { modes: ["byok", "auto"] } });
  try {
    await page.goto(`/console/w/${owner.workspace}/ai-config`);
    await expect(page.getByText("Not offered here")).toHaveCount(1);
    await expect(page.getByRole("radio", { name: "Credits", exact: true })).toBeDisabled();
    await expect(page.getByRole("radio", { name: "Own keys, else credits" })).toBeEnabled();
  } finally {
    await admin.patch("/api/v1/admin/settings", { data: { modes: null } });
    await admin.dispose();
  }
});

test("every page goes by the mode that counts where the chosen one is no longer offered", async ({
  page,
  owner,
  world,
}) => {
  const admin = await asAdmin(world.instance.url, world.root.email);
  const chosen = await page.request.patch(`/api/v1/workspaces/${owner.workspace}/policy`, {
    data: { mode: "managed" },
  });
  expect(chosen.ok(), await chosen.text()).toBe(true);
  const go = (to: string) => page.goto(`/console/w/${owner.workspace}/${to}`);
  try {
    await admin.patch("/api/v1/admin/settings", { data: { modes: ["byok", "auto"] } });
    await go("ai-config");
    await expect(page.getByText("does not offer the mode managed any more, so byok counts")).toBeVisible();
    await look(page, "ai-config-not-offered");
    await go("start");
    await expect(page.getByRole("button", { name: "Add a provider key" })).toBeVisible();
    await go("playground");
    await expect(page.getByRole("link", { name: "See the provider keys" })).toBeVisible();
    await storeKey(page, owner.workspace);
    await go("keys");
    await expect(page.getByText("primary", { exact: true })).toBeVisible();
    await expect(page.getByText("This workspace is in the mode")).toHaveCount(0);

    await admin.patch("/api/v1/admin/settings", { data: { modes: ["auto"] } });
    await go("ai-config");
    await expect(page.getByText("The instance offers neither the mode managed nor byok.")).toBeVisible();
    await go("start");
    await expect(page.getByText("does not offer the mode that this workspace is in")).toBeVisible();
    await expect(page.getByRole("main").getByRole("link", { name: "AI config" })).toBeVisible();
    await go("playground");
    await expect(page.getByText("does not offer the mode that this workspace is in")).toBeVisible();
  } finally {
    await admin.patch("/api/v1/admin/settings", { data: { modes: null } });
    await admin.dispose();
  }
});

test("credits do not pay for a provider for which the instance has no key", async ({ page, owner, world }) => {
  const admin = await asAdmin(world.instance.url, world.root.email);
  const key = `sk-proj-${randomBytes(24).toString("hex")}`;
  const stored = await post(admin, "/api/v1/admin/platform-keys", { provider: "openai", label: "platform", key });
  const config = (provider: string) =>
    page.request.put(`/api/v1/workspaces/${owner.workspace}/ai-config`, { data: { mode: "managed", provider } });
  try {
    await config("anthropic");
    await page.goto(`/console/w/${owner.workspace}/ai-config`);
    await expect(page.getByText("Calls are refused", { exact: true })).toBeVisible();
    await expect(page.getByText("no key that serves models of Anthropic")).toBeVisible();
    await config("openai");
    await page.reload();
    await expect(page.getByText("Credits pay", { exact: true })).toBeVisible();
  } finally {
    await admin.delete(`/api/v1/admin/platform-keys/${stored.id}`);
    await admin.dispose();
  }
});

test("a member sees who pays and changes nothing", async ({ page, owner, browser, world }) => {
  const member = await joined(page, browser, world.instance.url, owner.workspace, "member");
  await member.page.goto(`/console/w/${owner.workspace}/ai-config`);
  await expect(member.page.getByRole("radio", { name: "Own keys", exact: true })).toBeDisabled();
  await expect(member.page.getByRole("button", { name: /^(Change|Save)/ })).toHaveCount(0);
  await expect(member.page.getByText("Credits never step in")).toBeVisible();
  await member.page.context().close();
});
