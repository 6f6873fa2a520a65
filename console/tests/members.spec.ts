import { PASSWORD } from "./support/people";
import { confirm, expect, joined, look, test } from "./support/test";

test("somebody is invited by a link, joins with a password, becomes an admin, and is removed", async ({
  page,
  owner,
  browser,
  world,
}) => {
  await page.goto(`/console/w/${owner.workspace}/members`);
  await expect(page.getByRole("row").filter({ hasText: owner.email })).toContainText("owner");
  await page.getByRole("button", { name: "Invite" }).click();
  const email = `new-${Date.now()}@example.com`;
  await page.getByLabel("E-mail").fill(email);
  await look(page, "members-invite");
  await page.getByRole("dialog").getByRole("button", { name: "Invite" }).click();
  const link = await page.getByRole("region", { name: "Invitation link" }).innerText();
  await look(page, "members-invited");
  await page.getByRole("button", { name: "Done" }).click();
  await expect(page.getByRole("row").filter({ hasText: email })).toBeVisible();

  const context = await browser.newContext({ locale: "en-US" });
  const theirs = await context.newPage();
  await theirs.goto(link);
  await expect(theirs.getByRole("heading", { name: "Join a workspace" })).toBeVisible();
  expect(theirs.url()).toBe(`${world.instance.url}/console/join`);
  await look(theirs, "join");
  await theirs.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await theirs.getByLabel("The same password again").fill(PASSWORD);
  await theirs.getByRole("button", { name: "Join" }).click();
  await expect(theirs).toHaveURL(new RegExp(`/console/w/${owner.workspace}/`));

  await page.reload();
  await page.getByRole("combobox", { name: `Role of ${email}` }).click();
  await page.getByRole("option", { name: /^Admin/ }).click();
  await expect(page.getByText(`${email} is an admin now`)).toBeVisible();
  await look(page, "members");
  await page.getByRole("button", { name: `Remove ${email}` }).click();
  await confirm(page, "Remove");
  await expect(page.getByRole("row").filter({ hasText: email })).toBeHidden();
  await theirs.goto(`/console/w/${owner.workspace}/keys`.replace(/^/, world.instance.url));
  await expect(theirs.getByRole("heading", { name: "There is no such page" })).toBeVisible();
  await context.close();
});

test("an invitation is revoked, and its link is dead", async ({ page, owner, browser, world }) => {
  const email = `late-${Date.now()}@example.com`;
  await page.goto(`/console/w/${owner.workspace}/members`);
  await page.getByRole("button", { name: "Invite" }).click();
  await page.getByLabel("E-mail").fill(email);
  await page.getByRole("dialog").getByRole("button", { name: "Invite" }).click();
  const link = await page.getByRole("region", { name: "Invitation link" }).innerText();
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("button", { name: `Revoke the invitation of ${email}` }).click();
  await confirm(page, "Revoke");
  await expect(page.getByRole("row").filter({ hasText: email })).toBeHidden();
  const context = await browser.newContext({ baseURL: world.instance.url });
  const theirs = await context.newPage();
  await theirs.goto(link);
  await theirs.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await theirs.getByLabel("The same password again").fill(PASSWORD);
  await theirs.getByRole("button", { name: "Join" }).click();
  await expect(theirs.getByRole("alert")).toContainText("invalid_invitation");
  await context.close();
});

test("a member sees people and changes none, and can leave", async ({ page, owner, browser, world }) => {
  const member = await joined(page, browser, world.instance.url, owner.workspace, "member");
  await member.page.goto(`/console/w/${owner.workspace}/members`);
  await expect(member.page.getByRole("row").filter({ hasText: owner.email })).toBeVisible();
  await expect(member.page.getByRole("button", { name: "Invite" })).toBeHidden();
  await expect(member.page.getByRole("button", { name: /^Remove/ })).toHaveCount(0);
  await member.page.goto(`/console/w/${owner.workspace}/settings`);
  await member.page.getByRole("button", { name: "Leave workspace" }).click();
  await member.page.getByRole("alertdialog").getByRole("button", { name: "Leave workspace" }).click();
  await expect(member.page.getByText(/^You left/)).toBeVisible();
  expect(member.page.url()).not.toContain(owner.workspace);
  await member.page.context().close();
});
