import { addOpenAiKey, call, mint } from "./support/calls";
import { post } from "./support/people";
import { expect, look, test } from "./support/test";

test("an owner sees what the calls of all workspaces came to, and of each", async ({ page, owner, world }) => {
  test.slow();
  const { url } = world.instance;
  await page.goto("/console/account/usage");
  await expect(page.getByText("No calls in these days")).toBeVisible();

  await addOpenAiKey(page, owner.workspace);
  const { key } = await mint(page, url, owner.workspace, "app");
  const other = await post(page.request, "/api/v1/workspaces", { name: "Second" });
  const second = await mint(page, url, other.id, "other-app");
  for (let turn = 0; turn < 2; turn += 1) expect(await call(url, key, "openai/gpt-5.4-nano")).toBe(200);
  // Nothing pays there: it counts as a call that failed.
  expect(await call(url, second.key, "openai/gpt-5.4-nano")).toBe(402);

  await page.goto("/console/account/usage");
  const table = page.getByRole("region", { name: "Calls by workspace" });
  const first = table.getByRole("row").filter({ hasText: "Personal" });
  await expect(first).toBeVisible({ timeout: 30_000 });
  await expect(first.getByRole("cell").nth(1)).toHaveText("2");
  await expect(table.getByRole("row").filter({ hasText: "Second" }).getByRole("cell").nth(1)).toHaveText("1");
  await look(page, "account-usage");

  await first.getByRole("button", { name: "Personal" }).click();
  await page.getByRole("combobox", { name: "What the table tells apart" }).click();
  await page.getByRole("option", { name: "API key", exact: true }).click();
  const keys = page.getByRole("region", { name: "Calls by API key" });
  await expect(keys.getByRole("row").filter({ hasText: "app" })).toHaveCount(1);
});
