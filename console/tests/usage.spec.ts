import { readFile } from "node:fs/promises";
import { addOpenAiKey, call, mint } from "./support/calls";
import { expect, joined, look, test } from "./support/test";

test("calls are added up, told apart, listed, explained and exported", async ({ page, owner, world }) => {
  test.slow();
  const { url } = world.instance;
  await page.goto(`/console/w/${owner.workspace}/usage`);
  await expect(page.getByText("No calls in these days")).toBeVisible();
  await look(page, "usage-empty");

  await addOpenAiKey(page, owner.workspace);
  const ci = await mint(page, url, owner.workspace, "ci");
  const app = await mint(page, url, owner.workspace, "app");
  for (let turn = 0; turn < 5; turn += 1) expect(await call(url, ci.key, "openai/gpt-5.4-nano")).toBe(200);
  for (let turn = 0; turn < 3; turn += 1) expect(await call(url, app.key, "openai/gpt-5.4-mini")).toBe(200);
  expect(await call(url, app.key, "anthropic/claude-sonnet-4-6")).toBeGreaterThanOrEqual(400);

  await page.goto(`/console/w/${owner.workspace}/usage`);
  const requests = page.getByRole("region", { name: "Requests" });
  await expect(requests.getByRole("row")).toHaveCount(10, { timeout: 20_000 });
  await expect(page.getByText("1 failed, 11.1%")).toBeVisible({ timeout: 20_000 });
  await expect(page.getByText("8 calls; providers bill those that they answered")).toBeVisible();
  await expect(page.getByRole("figure", { name: "Cost by day" })).toBeVisible();
  await look(page, "usage");

  // The bars can be read without a pointer.
  await page.getByRole("combobox", { name: "What the bars show" }).click();
  await page.getByRole("option", { name: "Calls" }).click();
  await expect(page).toHaveURL(/measure=calls/);
  const bars = page.getByRole("figure", { name: "Calls by day" });
  await bars.getByRole("group").focus();
  await page.keyboard.press("End");
  await expect(bars.locator("p[aria-live]")).toHaveText(/, Own keys 8, Credits 0, Not served 1$/);
  await look(page, "usage-bar");

  await page.getByRole("combobox", { name: "What the table tells apart" }).click();
  await page.getByRole("option", { name: "API key" }).click();
  const byKey = page.getByRole("region", { name: "Calls by API key" });
  await byKey.getByRole("button", { name: "ci" }).click();
  await expect(page).toHaveURL(new RegExp(`api_key_id=${ci.id}`));
  await expect(requests.getByRole("row")).toHaveCount(6);
  await page.reload();
  await expect(requests.getByRole("row")).toHaveCount(6);
  await expect(page.getByRole("combobox", { name: "API key", exact: true })).toContainText("ci");
  await look(page, "usage-filtered");

  // Anywhere in the row, and by the keyboard.
  const detail = page.getByRole("dialog");
  await requests.getByRole("cell").nth(3).click();
  await expect(detail).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(detail).toBeHidden();
  await requests
    .getByRole("button", { name: /^Details of/ })
    .first()
    .press("Enter");
  await expect(detail.getByRole("listitem")).toContainText("Own key primary");
  // A text that is marked elsewhere keeps the row from opening, and not its button.
  await page.keyboard.press("Escape");
  await page.getByRole("heading", { level: 1 }).selectText();
  await requests
    .getByRole("button", { name: /^Details of req_.+\d:\d\d/ })
    .first()
    .dispatchEvent("click");
  await expect(detail).toBeVisible();
  // It has an address of its own, and names.
  await expect(page).toHaveURL(/request=req_/);
  await page.reload();
  await expect(detail.getByRole("definition").filter({ hasText: ci.id })).toContainText("ci");
  await expect(detail).toContainText("you");
  await look(page, "usage-request");
  await page.keyboard.press("Escape");
  await expect(page).not.toHaveURL(/request=/);

  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export CSV" }).click();
  const file = await saved;
  expect(file.suggestedFilename()).toMatch(/^usage-\d{4}-\d\d-\d\d-\d{4}-\d\d-\d\d\.csv$/);
  const lines = (await readFile(await file.path(), "utf8")).trim().split("\n");
  expect(lines).toHaveLength(6);
  expect(lines[0]).toContain("request_id");

  await page.getByRole("button", { name: "Show all calls" }).click();
  await page.getByRole("combobox", { name: "How they ended" }).click();
  await page.getByRole("option", { name: "Failed" }).click();
  await expect(page).toHaveURL(/status=failed/);
  await expect(requests.getByRole("row")).toHaveCount(2);
  await page.getByRole("combobox", { name: "Period" }).click();
  await page.getByRole("option", { name: "Chosen days" }).click();
  await page.getByLabel("Last day (UTC)").fill("2020-01-01");
  await expect(page.getByText("The first day is after the last one.")).toBeVisible();
  await look(page, "usage-days");
});

test("a member sees the own calls alone, and an admin's page says why it could not load", async ({
  page,
  owner,
  browser,
  world,
}) => {
  test.slow();
  const { url } = world.instance;
  await addOpenAiKey(page, owner.workspace);
  const owners = await mint(page, url, owner.workspace, "ci");
  for (let turn = 0; turn < 2; turn += 1) expect(await call(url, owners.key, "openai/gpt-5.4-mini")).toBe(200);
  const member = await joined(page, browser, url, owner.workspace, "member");
  const theirs = await mint(member.page, url, owner.workspace, "mine");
  expect(await call(url, theirs.key, "openai/gpt-5.4-nano")).toBe(200);
  await member.page.goto(`/console/w/${owner.workspace}/start`);
  await member.page.getByRole("link", { name: "Usage", exact: true }).click();
  await expect(member.page.getByText("These are your own calls")).toBeVisible();
  const requests = member.page.getByRole("region", { name: "Requests" });
  await expect(requests.getByRole("row")).toHaveCount(2, { timeout: 20_000 });
  await expect(requests).toContainText("openai/gpt-5.4-nano");
  await expect(member.page.getByRole("combobox", { name: "Member" })).toBeHidden();
  await look(member.page, "usage-member");
  await member.page.context().close();

  await page.goto(`/console/w/${owner.workspace}/usage`);
  await expect(page.getByRole("region", { name: "Requests" }).getByRole("row")).toHaveCount(4, { timeout: 20_000 });
  await page.route("**/usage/summary*", (route) => route.abort("connectionrefused"));
  await page.reload();
  await expect(page.getByRole("alert").first()).toContainText("unreachable", { timeout: 20_000 });
});
