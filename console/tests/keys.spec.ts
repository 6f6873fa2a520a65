import { request } from "@playwright/test";
import { call, mint } from "./support/calls";
import { added, newKey, open, unknown } from "./support/keys";
import { PASSWORD, post } from "./support/people";
import { confirm, expect, joined, look, test } from "./support/test";

test("a key is switched off and on, edited, rotated, and removed with a word on what comes next", async ({
  page,
  owner,
  world,
}) => {
  await open(page, owner.workspace);
  await added(page, newKey(), "primary");

  const toggle = page.getByRole("switch", { name: "OpenAI primary may serve" });
  await expect(toggle).toBeChecked();
  // The last one is not switched off by one click alone.
  await toggle.click();
  await expect(page.getByRole("alertdialog")).toContainText("calls of its models are refused with 402");
  await look(page, "keys-switch-off");
  await page.getByRole("alertdialog").getByRole("button", { name: "Cancel" }).click();
  await expect(toggle).toBeChecked();
  await toggle.click();
  await confirm(page, "Switch off");
  await expect(page.getByText("Disabled", { exact: true })).toBeVisible();
  await toggle.click();
  await expect(page.getByText("Disabled", { exact: true })).toBeHidden();

  await page.getByRole("button", { name: "Actions for OpenAI primary" }).click();
  await page.getByRole("menuitem", { name: "Edit" }).click();
  await page.getByLabel("Label").fill("team");
  await page.getByLabel("Level").fill("3");
  await look(page, "keys-edit");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Level 3")).toBeVisible();

  const next = newKey();
  await page.getByRole("button", { name: "Actions for OpenAI team" }).click();
  await page.getByRole("menuitem", { name: "Rotate" }).click();
  await page.getByLabel("Key", { exact: true }).fill(next);
  await page.getByRole("button", { name: "Seal and rotate" }).click();
  await page.getByRole("button", { name: "Done" }).click();
  await expect(page.getByText(`${next.slice(0, 4)}...${next.slice(-4)}`)).toBeVisible();

  await page.getByRole("button", { name: "Actions for OpenAI team" }).click();
  await page.getByRole("menuitem", { name: "Remove" }).click();
  const dialog = page.getByRole("alertdialog");
  await expect(dialog).toContainText("From the next call on:");
  await expect(dialog).toContainText(/OpenAI's models/);
  await look(page, "keys-remove");
  await dialog.getByRole("button", { name: "Remove key" }).click();
  await expect(page.getByText("OpenAI team is removed")).toBeVisible();
  await expect(page.getByText("No provider keys yet")).toBeVisible();
  expect(await world.instance.providerRequests()).toBeGreaterThan(0);
});

test("removing a key says what pays next, and the next call meets it: another key, credits, a refusal", async ({
  page,
  owner,
  world,
}) => {
  test.slow();
  const { url } = world.instance;
  const own = `/api/v1/workspaces/${owner.workspace}/provider-keys`;
  for (const label of ["one", "two"]) await post(page.request, own, { provider: "openai", label, key: newKey() });
  const program = await mint(page, url, owner.workspace, "program");
  const mode = (mode: string) => page.request.patch(`/api/v1/workspaces/${owner.workspace}/policy`, { data: { mode } });
  /** Removes the key in the page, checks what is foretold and told, and calls. */
  const remove = async (label: string, then: string) => {
    await open(page, owner.workspace);
    await page.getByRole("button", { name: `Actions for OpenAI ${label}` }).click();
    await page.getByRole("menuitem", { name: "Remove" }).click();
    await expect(page.getByRole("alertdialog")).toContainText(`From the next call on: ${then}`);
    await confirm(page, "Remove key");
    await expect(page.getByText(`OpenAI ${label} is removed`)).toBeVisible();
    await expect(page.getByText(then)).toBeVisible();
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${program.key}`, "content-type": "application/json" },
      body: JSON.stringify({
        model: "openai/gpt-5.4-nano",
        max_completion_tokens: 50,
        messages: [{ role: "user", content: "Hello" }],
      }),
    });
    await answer.text();
    const header = (name: string) => answer.headers.get(`x-keybearer-${name}`);
    return { status: answer.status, source: header("key-source"), label: header("key-label") };
  };

  await mode("auto");
  const other = await remove("one", "Another own key serves calls of OpenAI's models.");
  expect(other).toEqual({ status: 200, source: "byok", label: "two" });

  const admin = await request.newContext({ baseURL: url });
  await post(admin, "/api/v1/sessions", { email: world.root.email, password: PASSWORD });
  const platform = { provider: "openai", label: "platform", key: newKey() };
  const stored = await post(admin, "/api/v1/admin/platform-keys", platform);
  await post(admin, `/api/v1/admin/accounts/${owner.account}/credits`, { kind: "grant", credits: "100" });
  const credits = await remove("two", "Credits pay for calls of OpenAI's models.");
  expect(credits).toMatchObject({ status: 200, source: "managed" });

  await post(page.request, own, { provider: "openai", label: "three", key: newKey() });
  await mode("byok");
  const refused = await remove(
    "three",
    "Calls of OpenAI's models are refused with 402, because nothing pays for them.",
  );
  expect(refused).toMatchObject({ status: 402, source: null });
  await admin.delete(`/api/v1/admin/platform-keys/${stored.id}`);
  await admin.dispose();
});

test("an edited key keeps what another admin set of it meanwhile", async ({ page, owner }) => {
  const path = `/api/v1/workspaces/${owner.workspace}/provider-keys`;
  const stored = await post(page.request, path, { provider: "openai", label: "team", key: newKey() });
  await open(page, owner.workspace);
  await page.getByRole("button", { name: "Actions for OpenAI team" }).click();
  await page.getByRole("menuitem", { name: "Edit" }).click();
  const theirs = await page.request.patch(`${path}/${stored.id}`, { data: { level: 7, fallback: true } });
  expect(theirs.ok(), await theirs.text()).toBe(true);
  await page.getByLabel("Label").fill("ours");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("dialog")).toBeHidden();
  await expect(page.getByText("Level 7")).toBeVisible();
  const { data } = await (await page.request.get(path)).json();
  expect(data[0]).toMatchObject({ label: "ours", level: 7, fallback: true });
});

test("prices that were negotiated for a key are what its calls cost", async ({ page, owner, world }) => {
  const path = `/api/v1/workspaces/${owner.workspace}/provider-keys`;
  await post(page.request, path, { provider: "openai", label: "team", key: newKey() });
  await open(page, owner.workspace);
  const prices = async () => (await (await page.request.get(path)).json()).data[0].prices;
  const choose = async () => {
    await page.getByRole("button", { name: "Actions for OpenAI team" }).click();
    await page.getByRole("menuitem", { name: "Prices" }).click();
  };
  await choose();
  await page.getByRole("button", { name: "New price" }).click();
  await page.getByLabel("Models").fill("gpt-5.4-nano");
  await page.getByLabel("Input", { exact: true }).fill("1000");
  await page.getByLabel("Output", { exact: true }).fill("2000");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("list", { name: "Negotiated prices" })).toContainText("$1000.00 in, $2000.00 out");
  await look(page, "keys-prices");
  expect(await prices()).toMatchObject([{ provider: "openai", model: "gpt-5.4-nano" }]);
  const program = await mint(page, world.instance.url, owner.workspace, "program");
  expect(await call(world.instance.url, program.key, "openai/gpt-5.4-nano")).toBe(200);
  // 19 tokens in, 5 out.
  const usage = `/api/v1/workspaces/${owner.workspace}/usage`;
  await expect.poll(async () => (await (await page.request.get(usage)).json()).data[0]?.cost_nano_usd).toBe(29_000_000);
  await page.getByRole("button", { name: "Remove the price of gpt-5.4-nano" }).click();
  await confirm(page, "Remove price");
  await expect(page.getByText("None. The workspace's prices count")).toBeVisible();
  expect(await prices()).toEqual([]);
});

test("keys are put in another order by the keyboard and by dragging, and stay so", async ({ page, owner }) => {
  await open(page, owner.workspace);
  for (const label of ["one", "two", "three"]) {
    await added(page, newKey(), label);
  }
  const labels = () =>
    page.getByRole("switch").evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")?.split(" ")[1]));
  await expect.poll(labels).toEqual(["one", "two", "three"]);
  const orders: string[] = [];
  page.on("request", (request) => {
    if (["PUT", "PATCH"].includes(request.method()))
      orders.push(`${request.method()} ${new URL(request.url()).pathname}`);
  });
  await page.getByRole("button", { name: "Move OpenAI one" }).focus();
  await page.keyboard.press("ArrowDown");
  await expect.poll(labels).toEqual(["two", "one", "three"]);
  await expect.poll(() => orders).toEqual([`PUT /api/v1/workspaces/${owner.workspace}/provider-keys/order`]);
  await expect(page.getByText("OpenAI one is now number 2 of 3.")).toBeAttached();

  await look(page, "keys-order");
  const handle = await page.getByRole("button", { name: "Move OpenAI three" }).boundingBox();
  const first = await page.getByRole("button", { name: "Move OpenAI two" }).boundingBox();
  if (!handle || !first) throw new Error("the handles are visible");
  await page.mouse.move(handle.x + 8, handle.y + 8);
  await page.mouse.down();
  await page.mouse.move(first.x + 8, first.y + 4, { steps: 8 });
  await page.mouse.up();
  await expect.poll(labels).toEqual(["three", "two", "one"]);
  const stored = async () => {
    const { data } = await (await page.request.get(`/api/v1/workspaces/${owner.workspace}/provider-keys`)).json();
    return [...data].sort((one, other) => one.position - other.position).map(({ label }) => label);
  };
  await expect.poll(stored).toEqual(["three", "two", "one"]);
  await page.reload();
  await expect.poll(labels).toEqual(["three", "two", "one"]);

  // Moves that follow each other fast: the last one counts, also at the server.
  await page.getByRole("button", { name: "Move OpenAI three" }).focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await expect.poll(labels).toEqual(["two", "one", "three"]);
  await expect.poll(stored).toEqual(["two", "one", "three"]);
  await expect.poll(labels).toEqual(["two", "one", "three"]);
});

test("members see that there is a key, and nothing more of it", async ({ page, owner, browser, world }) => {
  await open(page, owner.workspace);
  await added(page, newKey(), "hidden-label");
  const member = await joined(page, browser, world.instance.url, owner.workspace, "member");
  const theirs = member.page;
  await theirs.goto(`/console/w/${owner.workspace}/keys`);
  await expect(theirs.getByText("A key may serve")).toBeVisible();
  await expect(theirs.getByRole("button", { name: "Add key" })).toBeHidden();
  expect(await theirs.content()).not.toContain("hidden-label");
  await look(theirs, "keys-member");
  await theirs.context().close();
});

test("names with markup in them are text", async ({ page, owner }) => {
  // T111
  const name = '<img src=x onerror="document.title=1"><script>document.title=1</script>';
  await page.request.patch(`/api/v1/workspaces/${owner.workspace}`, { data: { name } });
  await open(page, owner.workspace);
  await expect(page.getByRole("button", { name: `Workspace: ${name}` })).toBeVisible();
  expect(await page.title()).toBe("Keys · Keybearer");
});

test("how a key fares is told: when it served, and why it failed", async ({ page, owner, world }) => {
  const key = newKey();
  await open(page, owner.workspace);
  await added(page, key, "primary");
  const row = page.getByRole("listitem").filter({ hasText: "primary" });
  await expect(row).toContainText("Has not served yet");
  const body = { name: "calls", scopes: ["inference:invoke"] };
  const minted = await page.request.post(`/api/v1/workspaces/${owner.workspace}/api-keys`, { data: body });
  const headers = { authorization: `Bearer ${(await minted.json()).key}`, "content-type": "application/json" };
  const call = async () => {
    const asked = { model: "openai/gpt-5.4-nano", messages: [{ role: "user", content: "Say hello." }] };
    const url = `${world.instance.url}/v1/chat/completions`;
    const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(asked) });
    await answer.text();
    return answer.status;
  };
  // Nothing is reloaded: the page hears of the calls by itself.
  expect(await call()).toBe(200);
  await expect(row).toContainText("Last served just now", { timeout: 30_000 });
  await world.instance.script({ key, status: 401, body: unknown });
  expect(await call()).toBe(502);
  await expect(row).toContainText("the provider does not know the key", { timeout: 30_000 });
  await expect(row).toContainText("2 calls in 24 hours · 401: 50% (1)", { timeout: 30_000 });
  await look(page, "keys-failed");
});

test("what somebody else changes is seen without a reload, before the page would have asked", async ({
  page,
  owner,
}) => {
  await page.goto(`/console/w/${owner.workspace}/settings`);
  await expect(page.getByRole("button", { name: "Workspace: Personal" })).toBeVisible();
  await page.waitForTimeout(1_000);
  await page.request.patch(`/api/v1/workspaces/${owner.workspace}`, { data: { name: "Elsewhere" } });
  // Who is logged in is asked for by no clock: only the stream of events can have told.
  await expect(page.getByRole("button", { name: "Workspace: Elsewhere" })).toBeVisible();
});

test("keys of the account are named to its owner, since they serve here too", async ({ page, owner }) => {
  const body = { provider: "openai", label: "shared", key: newKey() };
  const stored = await page.request.post(`/api/v1/accounts/${owner.account}/provider-keys`, { data: body });
  expect(stored.status()).toBe(201);
  await open(page, owner.workspace);
  await expect(page.getByText("Keys of your account serve here too")).toContainText("OpenAI shared");
});

test("a label is looked at before the key leaves its field, and no key is replaced unawares", async ({
  page,
  owner,
}) => {
  await open(page, owner.workspace);
  await page.getByRole("button", { name: "Add key", exact: true }).first().click();
  await page.getByRole("combobox", { name: "Provider" }).fill("OpenAI");
  await page.getByRole("option", { name: /^OpenAI sk-/ }).click();
  const key = newKey();
  await page.getByLabel("Key", { exact: true }).fill(key);
  await page.getByLabel("Label").fill("my key");
  await page.getByRole("button", { name: "Seal and add" }).click();
  await expect(page.getByText(/^Letters, digits, dots, hyphens and underscores, at most 64/)).toBeVisible();
  await expect(page.getByLabel("Key", { exact: true })).toHaveValue(key);
  await look(page, "keys-add-label");
  await page.getByLabel("Label").fill("primary");
  await page.getByRole("button", { name: "Seal and add" }).click();
  await page.getByRole("button", { name: "Done" }).click();

  // The next one for the same provider has a label of its own.
  await page.getByRole("button", { name: "Add key", exact: true }).first().click();
  await page.getByRole("combobox", { name: "Provider" }).fill("OpenAI");
  await page.getByRole("option", { name: /^OpenAI sk-/ }).click();
  await expect(page.getByLabel("Label")).toHaveValue("primary-2");
  await page.getByLabel("Label").fill("primary");
  await expect(page.getByText("The new one takes its place, and that one is gone")).toBeVisible();
  await expect(page.getByRole("button", { name: "Seal and replace" })).toBeVisible();
  await look(page, "keys-add-replace");
  await page.getByLabel("Label").fill("second");
  await page.getByLabel("Key", { exact: true }).fill(newKey());
  await page.getByRole("button", { name: "Seal and add" }).click();
  await page.getByRole("button", { name: "Done" }).click();
  await expect(page.getByRole("switch")).toHaveCount(2);

  await page.getByRole("button", { name: "Actions for OpenAI second" }).click();
  await page.getByRole("menuitem", { name: "Edit" }).click();
  await page.getByLabel("Label").fill("the second");
  await expect(page.getByText(/^Letters, digits, dots/)).toBeVisible();
  await expect(page.getByRole("button", { name: "Save" })).toBeDisabled();
});
