import { addOpenAiKey, mint } from "./support/calls";
import { expect, joined, look, test } from "./support/test";

test("changes are listed with who made them, and found by action and text", async ({ page, owner, browser, world }) => {
  test.slow();
  const { url } = world.instance;
  await addOpenAiKey(page, owner.workspace);
  await mint(page, url, owner.workspace, "ci");
  await page.goto(`/console/w/${owner.workspace}/audit`);
  const log = page.getByRole("region", { name: "Audit log" });
  const created = log.getByRole("row").filter({ hasText: "provider_key.create" });
  await expect(created).toContainText("you");
  await expect(created).toContainText("openai primary");
  await look(page, "audit");

  await page.getByRole("combobox", { name: "Action" }).click();
  await page.getByRole("option", { name: "provider_key.create" }).click();
  await expect(page).toHaveURL(/action=provider_key.create/);
  await expect(log.getByRole("row")).toHaveCount(2);
  await page.reload();
  await expect(log.getByRole("row")).toHaveCount(2);
  await page.getByLabel("Person, key, id or request").fill("nothing like it");
  await expect(page.getByText("No such entry")).toBeVisible();

  const member = await joined(page, browser, url, owner.workspace, "member");
  await member.page.goto(`/console/w/${owner.workspace}/audit`);
  await expect(member.page.getByText("For admins of the workspace")).toBeVisible();
  await member.page.context().close();
});

test("a choice is looked for in the whole log, not only in what was loaded", async ({ page, owner }) => {
  const workspace = `/api/v1/workspaces/${owner.workspace}`;
  await page.request.post(`${workspace}/invitations`, { data: { email: "zoe@example.com", role: "member" } });
  for (let number = 1; number <= 101; number += 1)
    expect((await page.request.patch(workspace, { data: { name: `Name ${number}` } })).ok()).toBe(true);
  await page.goto(`/console/w/${owner.workspace}/audit`);
  const log = page.getByRole("region", { name: "Audit log" });
  await expect(log.getByRole("row").filter({ hasText: "workspace.update" }).first()).toBeVisible();
  await expect(log.getByRole("row").filter({ hasText: "invitation.create" })).toHaveCount(0);
  await page.getByRole("combobox", { name: "Action" }).click();
  await page.getByRole("option", { name: "invitation: all" }).click();
  await expect(log.getByRole("row").filter({ hasText: "invitation.create" })).toHaveCount(1);
  await page.getByRole("combobox", { name: "Who" }).click();
  await page.getByRole("option", { name: "you" }).click();
  await expect(page).toHaveURL(/actor=usr_/);
  await expect(log.getByRole("row").filter({ hasText: "invitation.create" })).toHaveCount(1);
});
