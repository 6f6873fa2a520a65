import { addOpenAiKey, call, mint } from "./support/calls";
import { logIn } from "./support/people";
import { expect, look, test } from "./support/test";

test("an admin sees what the calls of all accounts came to, by account, workspace, provider and model", async ({
  page,
  owner,
  world,
}) => {
  test.slow();
  const { url } = world.instance;
  await page.goto(`/console/w/${owner.workspace}/start`);
  await addOpenAiKey(page, owner.workspace);
  const { key } = await mint(page, url, owner.workspace, "app");
  for (let turn = 0; turn < 3; turn += 1) expect(await call(url, key, "openai/gpt-5.4-nano")).toBe(200);
  await logIn(page, url, world.root.email);
  await page.goto("/console/admin/usage");
  const accounts = page.getByRole("region", { name: "Calls by account" });
  const account = accounts.getByRole("row").filter({ hasText: owner.email });
  await expect(account).toBeVisible({ timeout: 30_000 });
  await expect(account.getByRole("cell").nth(1)).toHaveText("3");
  // Other tests of this instance may have had calls that credits pay.
  await expect(page.getByText(/platform keys cost \$[0-9.]+ at list price/)).toBeVisible();
  await look(page, "admin-usage");

  const by = async (name: string) => {
    await page.getByRole("combobox", { name: "What the table tells apart" }).click();
    await page.getByRole("option", { name, exact: true }).click();
  };
  await account.getByRole("button", { name: owner.email }).click();
  await expect(page).toHaveURL(new RegExp(`account_id=${owner.account}`));
  await by("Workspace");
  await expect(page.getByRole("region", { name: "Calls by workspace" }).getByRole("row")).toHaveCount(2);
  await expect(page.getByRole("row").filter({ hasText: `Personal · ${owner.email}` })).toBeVisible();
  await by("Model");
  await expect(page).toHaveURL(/by=model/);
  await page.getByRole("button", { name: "openai/gpt-5.4-nano" }).click();
  await expect(page).toHaveURL(/provider=openai&model=gpt-5.4-nano|model=gpt-5.4-nano&provider=openai/);
  await expect(page.getByRole("combobox", { name: "Model", exact: true })).toContainText("openai/gpt-5.4-nano");
  // Another provider is asked for without the model of this one.
  await page.getByRole("combobox", { name: "Provider" }).click();
  await page.getByRole("option", { name: "All", exact: true }).click();
  await expect(page).not.toHaveURL(/model=gpt/);
  await by("Platform key");
  await expect(page.getByText("openai: no platform key")).toBeVisible();
});
