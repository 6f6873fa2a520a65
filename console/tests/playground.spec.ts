import { randomBytes } from "node:crypto";
import { type Page, request } from "@playwright/test";
import { logIn, PASSWORD, post } from "./support/people";
import { expect, joined, look, test } from "./support/test";

const newKey = () => `sk-proj-${randomBytes(24).toString("hex")}`;

async function storeKey(page: Page, workspace: string, key = newKey()) {
  await post(page.request, `/api/v1/workspaces/${workspace}/provider-keys`, { provider: "openai", label: "team", key });
}

test("a model answers in a stream, and the page says who served it and what it took", async ({ page, owner }) => {
  await page.goto(`/console/w/${owner.workspace}/playground`);
  await expect(page.getByText("No model can be called yet")).toBeVisible();
  await look(page, "playground-empty");
  await storeKey(page, owner.workspace);
  // By itself, without a reload.
  await expect(page.getByLabel("Message")).toBeVisible({ timeout: 30_000 });

  await page.getByRole("combobox", { name: "Model" }).fill("5.4-nano");
  await page.getByRole("option", { name: /^openai\/gpt-5.4-nano/ }).click();
  await expect(page).toHaveURL(/model=openai/);
  await expect(page.getByText("An own key serves")).toBeVisible();
  await page.getByLabel("Message").fill("Say hello.");
  await page.getByLabel("Message").press("Enter");
  const turn = page.getByRole("list", { name: "Conversation" }).getByRole("listitem");
  await expect(turn).toContainText("Hello from upstream.");
  await expect(turn).toContainText("Own key team");
  await expect(turn).toContainText("19 in, 5 out");
  await expect(turn).toContainText(/List price\s*\$0\.0000086/);
  await expect(turn).toContainText("in all");
  await look(page, "playground");

  // The conversation goes along, and so does what the model is told first.
  await page.getByLabel("System prompt").fill("Be brief.");
  const sent = page.waitForRequest((request) => request.url().endsWith("/v1/chat/completions"));
  await page.getByLabel("Message").fill("And again.");
  await page.getByRole("button", { name: "Send" }).click();
  const roles = (await sent).postDataJSON().messages.map(({ role }: { role: string }) => role);
  expect(roles).toEqual(["system", "user", "assistant", "user"]);
  await expect(turn).toHaveCount(2);
  await expect(turn.last()).toContainText("List price");

  const held = await page.evaluate(() =>
    JSON.stringify([document.documentElement.outerHTML, { ...localStorage }, { ...sessionStorage }]),
  );
  expect(held).not.toContain("kb_");
  await page.getByRole("button", { name: "New conversation" }).click();
  await expect(page.getByText("Nothing was said yet.")).toBeVisible();
});

test("what is refused is shown with its code, and can be asked again", async ({ page, owner, world }) => {
  const key = newKey();
  await storeKey(page, owner.workspace, key);
  await page.goto(`/console/w/${owner.workspace}/playground?model=openai/gpt-5.4-nano`);
  const error = { message: "The server had an error", type: "server_error", code: null };
  await world.instance.script({ key, status: 401, body: { error } });
  await page.getByLabel("Message").fill("Say hello.");
  await page.getByRole("button", { name: "Send" }).click();
  await expect(page.getByRole("alert")).toContainText("upstream_credentials_exhausted");
  await look(page, "playground-refused");
  await world.instance.reset();
  await page.getByRole("button", { name: "Ask again" }).click();
  await expect(page.getByText("Hello from upstream.")).toBeVisible();

  await page.goto(`/console/w/${owner.workspace}/playground?model=anthropic/claude-haiku-4-5`);
  await expect(page.getByText("Refused as things stand: there is no own key for it.")).toBeVisible();
  await page.getByLabel("Message").fill("Say hello.");
  await page.getByRole("button", { name: "Send" }).click();
  await expect(page.getByRole("alert")).toContainText("byok_key_missing");
});

test("a call is stopped", async ({ page, owner, world }) => {
  const key = newKey();
  await storeKey(page, owner.workspace, key);
  await world.instance.script({ key, status: 200, body: {}, delay_ms: 20_000 });
  await page.goto(`/console/w/${owner.workspace}/playground?model=openai/gpt-5.4-nano`);
  await page.getByLabel("Message").fill("Take your time.");
  await page.getByRole("button", { name: "Send" }).click();
  await expect(page.getByText("Waiting for the first words")).toBeVisible();
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(page.getByText("Stopped.")).toBeVisible();
  await world.instance.reset();
});

test("a member calls models, and is told what the own calls cost", async ({ page, owner, browser, world }) => {
  await storeKey(page, owner.workspace);
  const member = await joined(page, browser, world.instance.url, owner.workspace, "member");
  await member.page.goto(`/console/w/${owner.workspace}/playground?model=openai/gpt-5.4-nano`);
  await member.page.getByLabel("Message").fill("Say hello.");
  await member.page.getByRole("button", { name: "Send" }).click();
  await expect(member.page.getByText("Hello from upstream.")).toBeVisible();
  await expect(member.page.getByText("List price")).toBeVisible();
  await member.page.context().close();
});

test("without a key of the instance credits are no way on, and the page says whose turn it is", async ({
  page,
  owner,
  world,
}) => {
  const managed = { data: { mode: "managed" } };
  await page.request.patch(`/api/v1/workspaces/${owner.workspace}/policy`, managed);
  await page.goto(`/console/w/${owner.workspace}/playground`);
  await expect(page.getByText("Credits would pay, and the instance has no key that serves.")).toBeVisible();
  await page.getByRole("link", { name: "See who pays" }).click();
  await expect(page).toHaveURL(/\/ai-config$/);

  await logIn(page, world.instance.url, world.root.email);
  await page.request.patch(`/api/v1/workspaces/${world.root.workspace}/policy`, managed);
  await page.goto(`/console/w/${world.root.workspace}/playground`);
  const way = page.getByRole("link", { name: "Add a platform key" });
  await expect(way).toBeVisible();
  await look(page, "playground-no-platform-key");
  await way.click();
  await expect(page.getByRole("dialog", { name: "Add a key" })).toBeVisible();
  await page.request.patch(`/api/v1/workspaces/${world.root.workspace}/policy`, { data: { mode: "byok" } });
});

test("nobody who chose nothing is given the dearest model", async ({ page, owner }) => {
  const path = `/api/v1/workspaces/${owner.workspace}/provider-keys`;
  await post(page.request, path, {
    provider: "anthropic",
    label: "team",
    key: `sk-ant-api03-${randomBytes(40).toString("hex")}`,
  });
  await page.goto(`/console/w/${owner.workspace}/playground`);
  await expect(page.getByRole("combobox", { name: "Model" })).toHaveValue("anthropic/claude-haiku-5-5");
});

test("a small balance bears a call with the output limit, and where it does not the page has a way on", async ({
  page,
  owner,
  world,
}) => {
  const admin = await request.newContext({ baseURL: world.instance.url });
  await post(admin, "/api/v1/sessions", { email: world.root.email, password: PASSWORD });
  const platform = { provider: "openai", label: "platform", key: newKey() };
  const stored = await post(admin, "/api/v1/admin/platform-keys", platform);
  await post(admin, `/api/v1/admin/accounts/${owner.account}/credits`, { kind: "grant", credits: "50" });
  await page.request.patch(`/api/v1/workspaces/${owner.workspace}/policy`, { data: { mode: "managed" } });

  await page.goto(`/console/w/${owner.workspace}/playground?model=openai/gpt-5.5`);
  const limit = page.getByLabel("Output limit");
  await expect(limit).toHaveValue("4096");
  const sent = page.waitForRequest((asked) => asked.url().endsWith("/v1/chat/completions"));
  await page.getByLabel("Message").fill("Say hello.");
  await page.getByRole("button", { name: "Send" }).click();
  // OpenAI's newer models refuse `max_tokens`.
  expect((await sent).postDataJSON()).toMatchObject({ max_completion_tokens: 4096 });
  await expect(page.getByText("Hello from upstream.")).toBeVisible();

  await limit.fill("many");
  await expect(page.getByText("A whole number from 1 to 1,000,000, or nothing.")).toBeVisible();
  await page.getByLabel("Message").fill("And again.");
  await expect(page.getByRole("button", { name: "Send" })).toBeDisabled();
  // As much as the model can write: more than the balance bears.
  await limit.fill("");
  await page.getByRole("button", { name: "Send" }).click();
  const refused = page.getByRole("alert");
  await expect(refused).toContainText("The account's credits do not bear this call");
  await expect(refused).toContainText("Lower the output limit");
  await expect(refused).not.toContainText("max_tokens");
  await expect(page.getByText(/credits would be held for it; .* credits are there\./)).toBeVisible();
  await look(page, "playground-credits");
  await limit.fill("100");
  await page.getByRole("button", { name: "Ask again" }).click();
  await expect(page.getByText("Hello from upstream.")).toHaveCount(2);
  await limit.fill("");
  await page.getByLabel("Message").fill("Once more.");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByRole("link", { name: "See the credits" }).click();
  await expect(page).toHaveURL(/\/account\/credits$/);
  await admin.delete(`/api/v1/admin/platform-keys/${stored.id}`);
  await admin.dispose();
});
