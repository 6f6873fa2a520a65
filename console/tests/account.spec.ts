import { logIn, PASSWORD } from "./support/people";
import { expect, look, test } from "./support/test";

test("somebody ends another session, and changes the password", async ({ page, owner, browser, world }) => {
  const other = await (await browser.newContext({ baseURL: world.instance.url })).newPage();
  await logIn(other, world.instance.url, owner.email);
  await page.goto("/console/account");
  await expect(page).toHaveURL(/\/console\/account\/profile$/);
  await expect(page.getByText("This one")).toBeVisible();
  await look(page, "account-profile");
  await page.getByRole("button", { name: /^End the session/ }).click();
  await expect(page.getByRole("button", { name: /^End the session/ })).toHaveCount(0);
  expect((await other.request.get("/api/v1/me")).status()).toBe(401);

  await logIn(other, world.instance.url, owner.email);
  const change = page.getByRole("button", { name: "Change password" });
  const fill = async (now: string) => {
    await page.getByLabel("Present password").fill(now);
    await page.getByLabel("New password", { exact: true }).fill("another horse battery");
    await page.getByLabel("New password again").fill("another horse battery");
  };
  await fill("not the password");
  await change.click();
  await expect(page.getByRole("alert")).toBeVisible();
  await expect(page.getByLabel("Present password")).toHaveValue("");
  await fill(PASSWORD);
  await change.click();
  await expect(page.getByText("Password changed")).toBeVisible();
  expect((await other.request.get("/api/v1/me")).status()).toBe(401);
  expect((await page.request.get("/api/v1/me")).status()).toBe(200);
  await other.context().close();
});

test("somebody deletes the account after typing the e-mail and the password", async ({ page, owner }) => {
  await page.goto("/console/account/profile");
  await page.getByRole("button", { name: "Delete account" }).click();
  const dialog = page.getByRole("alertdialog");
  const confirm = dialog.getByRole("button", { name: "Delete account" });
  await expect(confirm).toBeDisabled();
  await dialog.getByLabel(`Type ${owner.email} to confirm`).fill(owner.email);
  await dialog.getByLabel("Your password").fill("not the password");
  await confirm.click();
  await expect(dialog.getByRole("alert")).toBeVisible();
  await look(page, "account-delete");
  await dialog.getByLabel("Your password").fill(PASSWORD);
  await confirm.click();
  await expect(page).toHaveURL(/\/console\/login/);
  expect((await page.request.get("/api/v1/me")).status()).toBe(401);
});
