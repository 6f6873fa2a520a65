import { PASSWORD } from "./support/people";
import { expect, look, test } from "./support/test";

test("logging in leads to where one wanted to go, and logging out forgets", async ({ page, owner, context }) => {
  await context.clearCookies();
  await page.goto(`/console/w/${owner.workspace}/keys`);
  await expect(page.getByRole("heading", { name: "Log in" })).toBeVisible();
  await look(page, "login");
  await page.getByLabel("E-mail").fill(owner.email);
  await page.getByLabel("Password").fill("not the password");
  await page.getByRole("button", { name: "Log in" }).click();
  await expect(page.getByRole("alert")).toContainText("invalid_credentials");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Log in" }).click();
  await expect(page).toHaveURL(`/console/w/${owner.workspace}/keys`);

  await page.goto("/console/");
  await expect(page.getByRole("heading", { name: "Keys", exact: true })).toBeVisible();
  await page.getByRole("button", { name: `You: ${owner.email}` }).click();
  await page.getByRole("menuitem", { name: "Log out" }).click();
  await expect(page.getByRole("heading", { name: "Log in" })).toBeVisible();
  await page.goBack();
  await expect(page.getByRole("heading", { name: "Log in" })).toBeVisible();
});

test("a session that ended elsewhere leads to logging in, and back", async ({ page, owner }) => {
  await page.goto(`/console/w/${owner.workspace}/keys`);
  await expect(page.getByRole("heading", { name: "Keys", exact: true })).toBeVisible();
  await page.request.delete("/api/v1/sessions/current");
  await page.reload();
  await expect(page.getByRole("heading", { name: "Log in" })).toBeVisible();
  await page.getByLabel("E-mail").fill(owner.email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Log in" }).click();
  await expect(page).toHaveURL(`/console/w/${owner.workspace}/keys`);
});

test("where to go after logging in is a path of the console and nothing else", async ({ page, owner, context }) => {
  // T116
  await context.clearCookies();
  await page.goto(`/console/login?next=${encodeURIComponent("//evil.test/")}`);
  await page.getByLabel("E-mail").fill(owner.email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Log in" }).click();
  await expect(page).toHaveURL(new RegExp(`/console/w/${owner.workspace}`));
});
