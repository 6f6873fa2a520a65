/** What every page does, tried on one or two of them. */
import type { Page } from "@playwright/test";
import { newKey } from "./support/keys";
import { post } from "./support/people";
import { expect, LATENCY, test } from "./support/test";

test("what was typed for one workspace is not there after a switch to another", async ({ page, owner }) => {
  const other = await post(page.request, "/api/v1/workspaces", { name: "Other place" });
  await page.goto(`/console/w/${owner.workspace}/keys`);
  await page.getByRole("button", { name: "Add key", exact: true }).first().click();
  await page.getByLabel("Key", { exact: true }).fill(newKey());
  await page.keyboard.press("ControlOrMeta+k");
  await page.getByRole("combobox", { name: "Go to a page or do something" }).fill("Other place switch");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/console/w/${other.id}/keys`));
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await page.goBack();
  await expect(page).toHaveURL(new RegExp(`/console/w/${owner.workspace}/keys`));
  await expect(page.getByRole("heading", { name: "Keys", exact: true })).toBeVisible();
  await expect(page.getByRole("dialog")).toHaveCount(0);
});

test("what is typed and shown stays when it cannot be read again", async ({ page, owner }) => {
  await page.goto(`/console/w/${owner.workspace}/models`);
  await page.getByRole("button", { name: "Add model mapping" }).click();
  await page.getByLabel("Name 1").fill("half a thought");
  const asked = /\/api\/v1\/workspaces\/[^/]+\/(models|policy)$/;
  const body = { code: "internal_error", detail: "the server failed" };
  await page.route(asked, (route) => route.fulfill({ status: 500, json: body }));
  for (const path of ["/models", "/policy"]) {
    await page.waitForResponse((answer) => answer.url().endsWith(path) && answer.status() === 500);
  }
  await expect(page.getByLabel("Name 1")).toHaveValue("half a thought");
  await expect(page.getByRole("searchbox", { name: "Find a model" })).toBeVisible();
});

test("a browser without an internet is told that the server does not answer, and waits for nothing", async ({
  page,
  owner,
}) => {
  test.skip(LATENCY > 0, "the network that is slowed down cannot be cut as well");
  await page.goto(`/console/w/${owner.workspace}/settings`);
  await page.getByLabel("Workspace name").fill("Another name");
  await page.context().setOffline(true);
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByRole("alert")).toContainText("unreachable");
  await expect(page.getByText("The server does not answer.")).toBeVisible();
  await page.context().setOffline(false);
  await expect(page.getByText("The server does not answer.")).toBeHidden();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("Name changed")).toBeVisible();
});

test("a dialog stays until its answer is there, and keeps the focus where it was", async ({ page, owner }) => {
  await page.goto(`/console/w/${owner.workspace}/api-keys`);
  await page.getByRole("button", { name: "New API key" }).click();
  await page.getByLabel("Name").fill("program");
  let go = () => {};
  const held = new Promise<void>((resolve) => {
    go = resolve;
  });
  await page.route(/\/api-keys$/, async (route) => {
    if (route.request().method() === "POST") await held;
    await route.continue();
  });
  const mint = page.getByRole("button", { name: "Mint", exact: true });
  await mint.click();
  await expect(mint).toHaveAttribute("aria-busy", "true");
  await expect(mint).toBeFocused();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog", { name: "New API key" })).toBeVisible();
  go();
  await expect(page.getByRole("dialog", { name: "program is minted" })).toBeVisible();
  await page.getByRole("button", { name: "I have kept it" }).click();
  // One, though the button was pressed twice.
  await expect(page.getByRole("button", { name: "Revoke program" })).toHaveCount(1);
});

test("the command palette keeps what is chosen in sight", async ({ page, owner }) => {
  await page.setViewportSize({ width: 900, height: 500 });
  await page.goto(`/console/w/${owner.workspace}/keys`);
  await expect(page.getByRole("heading", { name: "Keys", exact: true })).toBeVisible();
  await page.keyboard.press("ControlOrMeta+k");
  await expect(page.getByRole("option").first()).toBeVisible();
  for (let step = 0; step < 14; step += 1) await page.keyboard.press("ArrowDown");
  await expect(page.getByRole("option", { selected: true })).toBeInViewport({ ratio: 0.9 });
  await page.keyboard.press("ArrowDown");
  await expect(page.getByRole("option", { selected: true })).toBeInViewport({ ratio: 0.9 });
});

test("Explain asks again when it is asked again, and a box is ticked by its words", async ({ page, owner }) => {
  await page.goto(`/console/w/${owner.workspace}/explain`);
  await page.getByText("The request forbids credits").click();
  await expect(page.getByRole("checkbox")).toBeChecked();
  let asked = 0;
  page.on("request", (request) => {
    if (request.url().endsWith("/resolve")) asked += 1;
  });
  const explain = page.getByRole("button", { name: "Explain" });
  await explain.click();
  await expect(page.getByRole("list", { name: "Why" })).toBeVisible();
  await expect(page.getByRole("checkbox")).toBeChecked();
  await expect(explain).toBeFocused();
  const before = asked;
  await explain.click();
  await expect.poll(() => asked).toBeGreaterThan(before);
});

/** As the browser does when another tab comes to the front. Headless, every page counts as shown. */
async function turn(page: Page, to: "hidden" | "visible") {
  await page.evaluate((state) => {
    Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
    Object.defineProperty(document, "hidden", { value: state === "hidden", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, to);
}

test("eight tabs of one browser go on, and one that was in the background shows what changed", async ({
  page,
  owner,
}) => {
  // A browser opens six connections to one origin, for all its tabs together.
  const tabs = [page];
  for (let opened = 1; opened < 8; opened += 1) tabs.push(await page.context().newPage());
  for (const [index, tab] of tabs.entries()) {
    await tab.goto(`/console/w/${owner.workspace}/api-keys`, { timeout: 30_000 });
    await expect(tab.getByRole("heading", { name: "API keys", level: 1 })).toBeVisible();
    if (index < tabs.length - 1) await turn(tab, "hidden");
  }
  const body = { name: "made meanwhile", scopes: ["inference:invoke"] };
  await post(page.request, `/api/v1/workspaces/${owner.workspace}/api-keys`, body);
  await expect((tabs[7] as Page).getByText("made meanwhile")).toBeVisible();
  await turn(tabs[7] as Page, "hidden");
  await turn(page, "visible");
  await expect(page.getByText("made meanwhile")).toBeVisible();
  await page.getByRole("link", { name: "Members", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Members", level: 1 })).toBeVisible();
});
