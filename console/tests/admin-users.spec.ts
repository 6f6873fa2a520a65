import { logIn, newPerson, PASSWORD } from "./support/people";
import { confirm, expect, look, test } from "./support/test";

const NEW_PASSWORD = "quite another password";

test("an admin makes another one, who counts at once, and steps down", async ({ page, world, browser }) => {
  const { url } = world.instance;
  await logIn(page, url, world.root.email);
  const ada = await newPerson(page.request, url, "ada");
  const theirs = await (await browser.newContext({ baseURL: url, locale: "en-US" })).newPage();
  await logIn(theirs, url, ada.email);
  expect((await theirs.request.get("/api/v1/users")).status()).toBe(403);

  await page.goto(`/console/admin/users?q=${ada.email}`);
  const row = page.getByRole("row").filter({ hasText: ada.email });
  await page.getByRole("button", { name: `Actions for ${ada.email}` }).click();
  await expect(page.getByRole("menuitem")).toHaveText(["Password link", "Make admin of the instance", "Suspend"]);
  await page.getByRole("menuitem", { name: "Make admin of the instance" }).click();
  await expect(page.getByRole("alertdialog")).toContainText("The person may do all that you may here");
  await look(page, "admin-users-promote");
  await confirm(page, "Make admin");
  await expect(row).toContainText("Admin of the instance");

  // The session that was open has the pages of the instance, and steps out of them.
  await theirs.goto(`/console/admin/users?q=${ada.email}`);
  await theirs.getByRole("button", { name: `Actions for ${ada.email}` }).click();
  await expect(theirs.getByRole("menu")).toBeVisible();
  await expect(theirs.getByRole("menuitem", { name: "Suspend" })).toHaveCount(0);
  await theirs.getByRole("menuitem", { name: "Step down as admin" }).click();
  await expect(theirs.getByRole("alertdialog")).toContainText("only another admin can bring you back");
  await confirm(theirs, "Step down");
  await expect(theirs.getByRole("heading", { name: "Keys", exact: true })).toBeVisible();
  expect((await theirs.request.get("/api/v1/users")).status()).toBe(403);
  await theirs.goto("/console/admin/users");
  await expect(theirs.getByRole("heading", { name: "There is no such page" })).toBeVisible();
  await theirs.context().close();

  await page.goto(`/console/admin/users?q=${world.root.email}`);
  await page.getByRole("button", { name: `Actions for ${world.root.email}` }).click();
  await page.getByRole("menuitem", { name: "Step down as admin" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Step down" }).click();
  await expect(page.getByRole("alertdialog").getByRole("alert")).toContainText("last_instance_admin");
  await look(page, "admin-users-last");
  await page.getByRole("button", { name: "Cancel" }).click();
});

test("a link gives somebody who forgot it a new password, once", async ({ page, world, browser }) => {
  const { url } = world.instance;
  await logIn(page, url, world.root.email);
  const bea = await newPerson(page.request, url, "bea");
  const theirs = await (await browser.newContext({ baseURL: url, locale: "en-US" })).newPage();
  await logIn(theirs, url, bea.email);

  await page.goto(`/console/admin/users?q=${bea.email}`);
  await page.getByRole("button", { name: `Actions for ${bea.email}` }).click();
  await page.getByRole("menuitem", { name: "Password link" }).click();
  await look(page, "admin-users-link");
  await page.getByRole("button", { name: "Make link" }).click();
  const shown = page.getByRole("region", { name: "Password link" });
  await expect(shown).toContainText("#token=kbpassword_");
  await look(page, "admin-users-link-made");
  const link = (await shown.innerText()).trim();
  await page.getByRole("button", { name: "Done" }).click();
  await expect(page.getByText("kbpassword_")).toHaveCount(0);

  await theirs.goto(link);
  await expect(theirs.getByRole("heading", { name: "Choose a new password" })).toBeVisible();
  expect(theirs.url()).toBe(`${url}/console/password`);
  await look(theirs, "password");
  await theirs.getByLabel("New password").fill(NEW_PASSWORD);
  await theirs.getByLabel("The same password again").fill(PASSWORD);
  await expect(theirs.getByText("The two passwords differ.")).toBeVisible();
  await theirs.getByLabel("The same password again").fill(NEW_PASSWORD);
  await theirs.getByRole("button", { name: "Set password" }).click();
  await expect(theirs.getByRole("heading", { name: "Your password is set" })).toBeVisible();
  await look(theirs, "password-set");
  expect((await theirs.request.get("/api/v1/me")).status()).toBe(401);
  await theirs.getByRole("link", { name: "Log in" }).click();
  await theirs.getByLabel("E-mail").fill(bea.email);
  await theirs.getByLabel("Password").fill(NEW_PASSWORD);
  await theirs.getByRole("button", { name: "Log in" }).click();
  await expect(theirs.getByRole("heading", { name: "Keys", exact: true })).toBeVisible();

  await theirs.goto(link);
  await theirs.getByLabel("New password").fill(PASSWORD);
  await theirs.getByLabel("The same password again").fill(PASSWORD);
  await theirs.getByRole("button", { name: "Set password" }).click();
  await expect(theirs.getByRole("alert")).toContainText("invalid_password_link");
  await expect(theirs.getByRole("button", { name: "Set password" })).toBeDisabled();
  await look(theirs, "password-used");
  // Another link in the same tab is taken, too, and leaves the address.
  await theirs.goto("/console/password#token=kbpassword_another");
  await theirs.getByLabel("New password").fill(PASSWORD);
  await expect(theirs.getByRole("button", { name: "Set password" })).toBeEnabled();
  expect(theirs.url()).not.toContain("token");
  // Without its token the page says what is missing.
  await theirs.goto("/console/password");
  await expect(theirs.getByText("Open the whole link")).toBeVisible();
  await theirs.context().close();
});
