import type { Route } from "@playwright/test";
import { addOpenAiKey } from "./support/calls";
import { logIn, newPerson, post } from "./support/people";
import { expect, look, test } from "./support/test";

test("a path that leads nowhere, or to another's workspace, is the same page", async ({ page, owner }) => {
  for (const path of [
    "/console/nothing",
    "/console/w/ws_06evr40e1m73fwp2hw6n0xq8kc/keys",
    `/console/w/${owner.workspace}/nothing`,
  ]) {
    await page.goto(path);
    await expect(page.getByRole("heading", { name: "There is no such page" })).toBeVisible();
  }
  await look(page, "not-found");
});

test("from the pages of the account one comes back to the workspace that one left", async ({ page, owner }) => {
  const { id } = await post(page.request, "/api/v1/workspaces", { name: "Second" });
  for (const [workspace, name] of [
    [id, "Second"],
    [owner.workspace, "Personal"],
  ]) {
    await page.goto(`/console/w/${workspace}/keys`);
    await expect(page.getByRole("heading", { name: "Keys", exact: true })).toBeVisible();
    await page.goto("/console/account/profile");
    await page.getByRole("link", { name: `Back to ${name}` }).click();
    await expect(page).toHaveURL(new RegExp(`/w/${workspace}/`));
  }
});

test("the command palette finds pages and actions by the keyboard alone", async ({ page, owner }) => {
  await page.goto(`/console/w/${owner.workspace}/keys`);
  await expect(page.getByRole("heading", { name: "Keys", exact: true })).toBeVisible();
  await page.keyboard.press("Control+k");
  await expect(page.getByRole("combobox")).toBeFocused();
  await look(page, "palette");
  await page.keyboard.type("dark");
  await page.keyboard.press("Enter");
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.reload();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
});

test("the command palette makes things and finds models", async ({ page, owner }) => {
  await addOpenAiKey(page, owner.workspace);
  const field = page.getByRole("combobox", { name: "Go to a page or do something" });
  const run = async (text: string, option: string | RegExp) => {
    await page.keyboard.press("Control+k");
    await field.fill(text);
    await expect(page.getByRole("option", { name: option, selected: true })).toBeVisible();
    await field.press("Enter");
  };
  for (const [text, option, path, dialog] of [
    ["add provider key", /^Add a provider key/, "keys", "Add a key"],
    ["new api key", /^New API key/, "api-keys", "New API key"],
    ["new run", /^New run/, "studio", "New run"],
    ["invite", /^Invite somebody/, "members", /^Invite to/],
  ] as const) {
    await run(text, option);
    await expect(page.getByRole("dialog", { name: dialog })).toBeVisible();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    await expect(page.getByRole("dialog")).toBeHidden();
    await expect(page).toHaveURL(new RegExp(`/${path}$`));
  }
  await page.keyboard.press("Control+k");
  await field.fill("5.4-nano");
  await expect(page.getByRole("option", { name: /gpt-5.4-nano\s*Explain/ })).toBeVisible();
  await look(page, "palette-models");
  await page.keyboard.press("Escape");
  await run("5.4-nano", /^openai\/gpt-5.4-nano\s*Playground/);
  await expect(page.getByRole("combobox", { name: "Model" })).toHaveValue("openai/gpt-5.4-nano");
  await run("5.4-nano explain", /^openai\/gpt-5.4-nano\s*Explain/);
});

test("a workspace is made and switched to", async ({ page, owner }) => {
  await page.goto(`/console/w/${owner.workspace}/keys`);
  await page.getByRole("button", { name: /^Workspace:/ }).click();
  await page.getByRole("menuitem", { name: "New workspace" }).click();
  await page.getByLabel("Name").fill("Research");
  await page.getByRole("button", { name: "Create workspace" }).click();
  await expect(page.getByRole("button", { name: "Workspace: Research" })).toBeVisible();
  expect(page.url()).not.toContain(owner.workspace);
  await page.goto("/console/");
  await expect(page.getByRole("button", { name: "Workspace: Research" })).toBeVisible();
});

test("the navigation opens as a drawer where the window is narrow", async ({ page, owner }) => {
  await page.setViewportSize({ width: 360, height: 780 });
  await page.goto(`/console/w/${owner.workspace}/keys`);
  await page.getByRole("button", { name: "Open the navigation" }).click();
  await expect(page.getByRole("dialog").getByRole("link", { name: "Keys", exact: true })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toBeHidden();
});

test("a page whose server is away shows what it has, says so, and recovers", async ({ page, owner }) => {
  await page.goto(`/console/w/${owner.workspace}/members`);
  const row = page.getByRole("row").filter({ hasText: owner.email });
  await expect(row).toBeVisible();
  const refuse = (route: Route) => route.abort("connectionrefused");
  await page.route(/\/api\/|\/health$/, refuse);
  const wake = () => page.evaluate(() => window.dispatchEvent(new Event("visibilitychange")));
  const notice = page.getByText("The server does not answer.");
  await page.waitForTimeout(5_100);
  await wake();
  await expect(notice).toBeVisible();
  await expect(row).toBeVisible();
  await page.unroute(/\/api\/|\/health$/, refuse);
  await expect(notice).toBeHidden({ timeout: 20_000 });
});

test("the policy stops styles, markup and policies that are not ours, and a violation is noticed", async ({
  page,
  owner,
  faults,
}) => {
  await page.goto(`/console/w/${owner.workspace}/members`);
  await expect(page.getByRole("heading", { name: "Members" })).toBeVisible();
  const outcome = await page.evaluate(() => {
    const thrown = (act: () => void) => {
      try {
        act();
        return "nothing";
      } catch (error) {
        return (error as Error).name;
      }
    };
    const style = document.createElement("style");
    style.textContent = "body { display: none }";
    document.head.append(style);
    return {
      display: getComputedStyle(document.body).display,
      markup: thrown(() => document.createElement("div").insertAdjacentHTML("beforeend", "<b>markup</b>")),
      policy: thrown(() => window.trustedTypes?.createPolicy("another", { createScriptURL: (url) => url })),
      worker: thrown(() => new Worker("/console/theme.js")),
    };
  });
  expect(outcome).toEqual({ display: "block", markup: "TypeError", policy: "TypeError", worker: "TypeError" });
  expect(faults.length).toBeGreaterThan(0);
  // These were wanted.
  faults.length = 0;
});

test("a browser that comes to the root is led to the console", async ({ page, owner }) => {
  await page.goto("/");
  await expect(page).toHaveURL(new RegExp(`/console/w/${owner.workspace}/keys`));
});

test("the first page is small, comes from here alone, and is kept", async ({ page, owner, world }) => {
  const sizes = new Map<string, number>();
  const client = await page.context().newCDPSession(page);
  await client.send("Network.enable");
  const urls = new Map<string, string>();
  client.on("Network.requestWillBeSent", ({ requestId, request }) => urls.set(requestId, request.url));
  client.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    const url = urls.get(requestId) ?? requestId;
    sizes.set(url, (sizes.get(url) ?? 0) + encodedDataLength);
  });
  await page.goto(`/console/w/${owner.workspace}/keys`);
  await expect(page.getByText("No provider keys yet")).toBeVisible();
  // The stream of events keeps the network from ever being idle.
  await page.waitForTimeout(1_000);
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  process.stdout.write(`the first page transfers ${Math.round(total / 1024)} KiB in ${sizes.size} answers\n`);
  expect(total).toBeLessThan(250 * 1024);
  for (const url of urls.values()) expect(url.startsWith(world.instance.url), url).toBe(true);
  const script = [...urls.values()].find((url) => url.endsWith(".js") && url.includes("/assets/"));
  const answer = await page.request.get(String(script));
  expect(answer.headers()["cache-control"]).toContain("immutable");
});

test("somebody without a workspace comes to the pages about oneself, and an admin to those of the instance", async ({
  page,
  world,
}) => {
  const { url } = world.instance;
  await logIn(page, url, world.root.email);
  const person = await newPerson(page.request, url);
  await logIn(page, url, person.email);
  const { workspaces } = await (await page.request.get("/api/v1/me")).json();
  for (const { id } of workspaces) await page.request.delete(`/api/v1/workspaces/${id}`);
  await page.goto("/console/");
  await expect(page.getByRole("heading", { name: "No workspace yet" })).toBeVisible();
  await expect(page.getByRole("link", { name: "Instance" })).toHaveCount(0);
  await look(page, "home");
  await page.getByRole("link", { name: "Account" }).click();
  await expect(page).toHaveURL(/\/account\/profile$/);
  await expect(page.getByText("This one")).toBeVisible();
});
