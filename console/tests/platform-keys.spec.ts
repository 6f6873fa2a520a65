import { randomBytes } from "node:crypto";
import type { Page } from "@playwright/test";
import { logIn, post } from "./support/people";
import { confirm, expect, look, test } from "./support/test";

const newKey = () => `sk-proj-${randomBytes(24).toString("hex")}`;

/** All that leaves the page, as text. */
function sent(page: Page): string[] {
  const all: string[] = [];
  page.on("request", (request) => {
    all.push(`${request.method()} ${request.url()} ${JSON.stringify(request.headers())} ${request.postData() ?? ""}`);
  });
  return all;
}

/** No form of the keys was sent, and none is in the page or in what it keeps. */
async function provesSealed(page: Page, requests: string[], keys: string[]) {
  const held = await page.evaluate(() =>
    JSON.stringify([document.documentElement.outerHTML, { ...localStorage }, { ...sessionStorage }]),
  );
  for (const key of keys) {
    const forms = [
      key,
      Buffer.from(key).toString("base64").slice(4, 40),
      encodeURIComponent(key),
      Buffer.from(key).toString("hex"),
    ];
    for (const form of forms) {
      for (const text of requests) expect(text.includes(form), "a key left the page").toBe(false);
      expect(held.includes(form), "a key stays in the page").toBe(false);
    }
  }
}

async function add(page: Page, key: string, label: string) {
  await page.getByRole("button", { name: "Add key", exact: true }).first().click();
  await page.getByRole("combobox", { name: "Provider" }).fill("OpenAI");
  await page.getByRole("option", { name: /^OpenAI sk-/ }).click();
  await page.getByLabel("Key", { exact: true }).fill(key);
  await page.getByLabel("Label").fill(label);
  await page.getByRole("button", { name: "Seal and add" }).click();
}

test("a platform key is sealed for the instance, serves a managed call, is rotated and removed", async ({
  page,
  owner,
  world,
}) => {
  const { url } = world.instance;
  const [bad, good, next] = [newKey(), newKey(), newKey()];
  const unknown = { error: { message: "Incorrect API key provided", code: "invalid_api_key" } };
  await world.instance.script({ key: bad, status: 401, body: unknown });
  // The call of somebody whose credits pay.
  const policy = `/api/v1/workspaces/${owner.workspace}/policy`;
  expect((await page.request.patch(policy, { data: { mode: "managed" } })).ok()).toBe(true);
  const minted = await post(page.request, `/api/v1/workspaces/${owner.workspace}/api-keys`, {
    name: "program",
    scopes: ["inference:invoke"],
  });
  const call = () =>
    page.request.post(`${url}/v1/chat/completions`, {
      headers: { authorization: `Bearer ${minted.key}` },
      data: { model: "openai/gpt-4o-mini", max_tokens: 16, messages: [{ role: "user", content: "Say hello" }] },
    });
  const refused = await call();
  expect([refused.status(), await refused.text()]).toEqual([402, expect.stringContaining("managed_unavailable")]);

  await logIn(page, url, world.root.email);
  const requests = sent(page);
  await page.goto("/console/admin/platform-keys");
  await expect(page.getByText("No platform keys yet")).toBeVisible();
  await look(page, "admin-platform-keys-empty");
  await add(page, bad, "main");
  await expect(page.getByRole("alert")).toContainText("probe_failed");
  await expect(page.getByText(/for this instance and provider alone/)).toBeVisible();
  await page.getByLabel("Key", { exact: true }).fill(good);
  await page.getByRole("button", { name: "Seal and add" }).click();
  await expect(page.getByRole("status")).toContainText("OpenAI accepted the key.", { timeout: 40_000 });
  await page.getByRole("button", { name: "Done" }).click();
  await expect(page.getByText(`${good.slice(0, 4)}...${good.slice(-4)}`)).toBeVisible();
  const served = await call();
  expect([served.status(), await served.text()]).toEqual([200, expect.anything()]);
  await page.reload();
  await expect(page.getByText(/^Last served/)).toBeVisible();
  await look(page, "admin-platform-keys");

  await page.getByRole("button", { name: "Actions for OpenAI main" }).click();
  await page.getByRole("menuitem", { name: "Rotate" }).click();
  await page.getByLabel("Key", { exact: true }).fill(next);
  await page.getByRole("button", { name: "Seal and rotate" }).click();
  await page.getByRole("button", { name: "Done" }).click();
  await expect(page.getByText(`${next.slice(0, 4)}...${next.slice(-4)}`)).toBeVisible();
  const submissions = requests.filter((text) => /^(POST|PUT)/.test(text) && text.includes("platform-keys"));
  expect(submissions).toHaveLength(3);
  for (const text of submissions) expect(text).toContain("ciphertext_b64");
  await provesSealed(page, requests, [bad, good, next]);

  await page.getByRole("switch", { name: "OpenAI main may serve" }).click();
  await confirm(page, "Switch off");
  await expect(page.getByText("Disabled", { exact: true })).toBeVisible();
  expect((await call()).status()).toBe(402);
  await page.getByRole("button", { name: "Actions for OpenAI main" }).click();
  await page.getByRole("menuitem", { name: "Remove" }).click();
  await expect(page.getByRole("alertdialog")).toContainText("refused with 402");
  await look(page, "admin-platform-keys-remove");
  await confirm(page, "Remove key");
  await expect(page.getByText("No platform keys yet")).toBeVisible();
});

test("a personal key is sealed for the account and serves its workspaces", async ({ page, owner, world }) => {
  const key = newKey();
  const requests = sent(page);
  await page.goto("/console/account/keys");
  await add(page, key, "mine");
  await expect(page.getByText(/for this account and provider alone/)).toBeVisible();
  await expect(page.getByRole("status")).toContainText("OpenAI accepted the key.", { timeout: 40_000 });
  await page.getByRole("button", { name: "Done" }).click();
  const minted = await post(page.request, `/api/v1/workspaces/${owner.workspace}/api-keys`, {
    name: "program",
    scopes: ["inference:invoke"],
  });
  const served = await page.request.post(`${world.instance.url}/v1/chat/completions`, {
    headers: { authorization: `Bearer ${minted.key}` },
    data: { model: "openai/gpt-4o-mini", messages: [{ role: "user", content: "Say hello" }] },
  });
  expect(served.status()).toBe(200);
  await provesSealed(page, requests, [key]);
  await look(page, "account-keys");
  await page.getByRole("button", { name: "Actions for OpenAI mine" }).click();
  await page.getByRole("menuitem", { name: "Remove" }).click();
  await expect(page.getByRole("alertdialog")).toContainText("each of your workspaces");
  await confirm(page, "Remove key");
  await expect(page.getByText("No provider keys yet")).toBeVisible();
});
