import { randomBytes } from "node:crypto";
import type { Page } from "@playwright/test";
import { call, mint } from "./support/calls";
import { newKey } from "./support/keys";
import { logIn, post } from "./support/people";
import { confirm, expect, look, test } from "./support/test";

test("from nothing to the first call, which appears by itself", async ({ page, owner }) => {
  await page.goto(`/console/w/${owner.workspace}/start`);
  await expect(page.getByText("Waiting for the first call.")).toBeVisible();
  await expect(page.getByRole("heading", { name: "What comes next" })).toHaveCount(0);
  await look(page, "start");
  await page.getByRole("button", { name: "Add a provider key" }).click();
  await page.getByRole("combobox", { name: "Provider" }).fill("OpenAI");
  await page.getByRole("option", { name: /^OpenAI sk-/ }).click();
  await page.getByLabel("Key", { exact: true }).fill(`sk-proj-${randomBytes(24).toString("hex")}`);
  await page.getByRole("button", { name: "Seal and add" }).click();
  await page.getByRole("button", { name: "Done" }).click();
  await expect(page.getByText("Own keys serve models of OpenAI.")).toBeVisible();
  await page.getByRole("button", { name: "Mint an API key" }).click();
  const key = await page.getByRole("region", { name: "API key" }).innerText();

  // The snippet as it is pasted: address, headers and body out of its text.
  const snippet = await page.getByRole("region", { name: "curl" }).innerText();
  const url = /curl (\S+)/.exec(snippet)?.[1];
  const body = /-d '(.*)'/.exec(snippet)?.[1];
  expect(snippet).toContain(`Bearer ${key}`);
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const answer = await fetch(String(url), { method: "POST", headers, body });
  expect(answer.status).toBe(200);
  await answer.text();
  const calls = page.getByRole("list", { name: "Latest calls" });
  await expect(calls).toContainText("own key primary");
  await expect(calls).toContainText("tokens");
  await page.getByRole("tab", { name: "TypeScript" }).click();
  await expect(page.getByRole("region", { name: "TypeScript" })).toContainText("baseURL");
  await expect(page.getByRole("heading", { name: "What comes next" })).toBeVisible();
  await look(page, "start-done");
  await page
    .getByRole("main")
    .getByRole("link", { name: /^Playground/ })
    .click();
  await expect(page).toHaveURL(/\/playground/);
});

const step = (page: Page, number: number) => page.locator("ol > li").nth(number - 1);

test("a step is done when it is: by a key that may serve, whoever has it, and a call that was answered", async ({
  page,
  owner,
  world,
}) => {
  const { url } = world.instance;
  const minted = await mint(page, url, owner.workspace, "program");
  expect(await call(url, minted.key, "openai/gpt-5.4-nano")).toBe(402);
  await page.goto(`/console/w/${owner.workspace}/start`);
  await expect(page.getByText("No call was answered yet.")).toBeVisible();
  await expect(step(page, 2)).toContainText("(done)");
  await expect(step(page, 3)).not.toContainText("(done)");
  await expect(page.getByRole("link", { name: "Add a platform key" })).toHaveCount(0);
  await look(page, "start-refused");

  const key = { provider: "openai", label: "mine", key: newKey() };
  await post(page.request, `/api/v1/accounts/${owner.account}/provider-keys`, key);
  await page.reload();
  await expect(page.getByText("Own keys serve models of OpenAI.")).toBeVisible();
  await expect(step(page, 1)).toContainText("(done)");
  expect(await call(url, minted.key, "openai/gpt-5.4-nano")).toBe(200);
  await expect(step(page, 3)).toContainText("(done)");

  const { data } = await (await page.request.get(`/api/v1/accounts/${owner.account}/provider-keys`)).json();
  const patched = await page.request.patch(`/api/v1/accounts/${owner.account}/provider-keys/${data[0].id}`, {
    data: { enabled: false },
  });
  expect(patched.ok(), await patched.text()).toBe(true);
  const own = { provider: "openai", label: "own", key: newKey() };
  const stored = await post(page.request, `/api/v1/workspaces/${owner.workspace}/provider-keys`, own);
  const disabled = await page.request.patch(`/api/v1/workspaces/${owner.workspace}/provider-keys/${stored.id}`, {
    data: { enabled: false },
  });
  expect(disabled.ok(), await disabled.text()).toBe(true);
  await page.reload();
  await expect(page.getByText("There are provider keys, and none can serve")).toBeVisible();
  await expect(step(page, 1)).not.toContainText("(done)");
});

test("credits are a way only where the instance has a key, which its admin is led to add", async ({ page, world }) => {
  const { url } = world.instance;
  await logIn(page, url, world.root.email);
  const { workspace } = world.root;
  const policy = (mode: string) => page.request.patch(`/api/v1/workspaces/${workspace}/policy`, { data: { mode } });
  await policy("managed");
  await page.goto(`/console/w/${workspace}/start`);
  await expect(page.getByText("Credits would pay, and the instance has no key that serves.")).toBeVisible();
  await expect(step(page, 1)).not.toContainText("(done)");
  await look(page, "start-managed");
  await page.getByRole("link", { name: "Add a platform key" }).click();
  await expect(page.getByRole("dialog", { name: "Add a key" })).toBeVisible();
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page).toHaveURL(/\/admin\/platform-keys$/);

  const key = { provider: "openai", label: "platform", key: newKey() };
  const stored = await post(page.request, "/api/v1/admin/platform-keys", key);
  await page.goto(`/console/w/${workspace}/start`);
  await expect(page.getByText("Credits pay, and keys of the instance serve")).toBeVisible();
  await expect(step(page, 1)).toContainText("(done)");
  await page.request.delete(`/api/v1/admin/platform-keys/${stored.id}`);
  await policy("byok");
});

test("an admin whose workspace is byok comes by a platform key to an answered call, without a dead end", async ({
  page,
  world,
}) => {
  const { url } = world.instance;
  await logIn(page, url, world.root.email);
  const { workspace } = world.root;
  await page.goto(`/console/w/${workspace}/start`);
  await page.getByRole("link", { name: "Add a platform key" }).click();
  await page.getByRole("combobox", { name: "Provider" }).fill("OpenAI");
  await page.getByRole("option", { name: /^OpenAI sk-/ }).click();
  await page.getByLabel("Key", { exact: true }).fill(newKey());
  await page.getByRole("button", { name: "Seal and add" }).click();
  await page.getByRole("button", { name: "Done" }).click();

  await page.goto(`/console/w/${workspace}/start`);
  await expect(page.getByText("The instance has a key with which credits can pay.")).toBeVisible();
  await expect(step(page, 1)).not.toContainText("(done)");
  await look(page, "start-mode");
  await page.getByRole("link", { name: "Let credits pay" }).click();
  await page.getByRole("radio", { name: "Own keys, else credits" }).click();
  await page.getByRole("button", { name: "Change mode" }).click();
  await confirm(page, "Change mode");

  await page.goto(`/console/w/${workspace}/start`);
  await expect(step(page, 1)).toContainText("(done)");
  await page.getByRole("button", { name: "Mint an API key" }).click();
  const key = await page.getByRole("region", { name: "API key" }).innerText();
  expect(await call(url, key, "openai/gpt-5.4-nano")).toBe(200);
  await expect(step(page, 3)).toContainText("(done)");
  await expect(page.getByRole("list", { name: "Latest calls" })).toContainText("credits");
  const { data } = await (await page.request.get("/api/v1/admin/platform-keys")).json();
  for (const { id } of data) await page.request.delete(`/api/v1/admin/platform-keys/${id}`);
  await page.request.patch(`/api/v1/workspaces/${workspace}/policy`, { data: { mode: "byok" } });
});
