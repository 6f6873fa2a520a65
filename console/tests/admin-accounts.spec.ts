import type { Page } from "@playwright/test";
import { logIn, PASSWORD } from "./support/people";
import { confirm, expect, look, test } from "./support/test";

/** The page as the admin of the instance sees it. */
async function asRoot(page: Page, url: string, email: string, path: string) {
  await logIn(page, url, email);
  await page.goto(`/console/admin/${path}`);
}

test("an admin makes a user, finds the person by e-mail, locks the person out and lets the person in", async ({
  page,
  world,
  browser,
}) => {
  const { url } = world.instance;
  await asRoot(page, url, world.root.email, "users");
  const email = `zoe-${Date.now()}@example.com`;
  await page.getByRole("button", { name: "New user" }).click();
  await page.getByRole("textbox", { name: "E-mail", exact: true }).fill(email);
  await page.getByLabel("First password").fill(PASSWORD);
  await look(page, "admin-users-new");
  await page.getByRole("button", { name: "Create user" }).click();
  await expect(page.getByText(`${email} can log in`)).toBeVisible();

  await page.getByLabel("Find by e-mail").fill("zoe-");
  await expect(page).toHaveURL(/\?q=zoe-/);
  const row = page.getByRole("row").filter({ hasText: email });
  await expect(row).toBeVisible();
  await expect(page.getByRole("row").filter({ hasText: world.root.email })).toBeHidden();
  const theirs = await (await browser.newContext({ baseURL: url })).newPage();
  await logIn(theirs, url, email);
  expect((await theirs.request.get("/api/v1/me")).status()).toBe(200);

  await page.getByRole("button", { name: `Actions for ${email}` }).click();
  await page.getByRole("menuitem", { name: "Suspend" }).click();
  await expect(page.getByRole("alertdialog")).toContainText("Sessions end at once");
  await confirm(page, "Suspend");
  await expect(row).toContainText("Suspended");
  expect((await theirs.request.get("/api/v1/me")).status()).toBe(401);
  await page.reload();
  await expect(page.getByLabel("Find by e-mail")).toHaveValue("zoe-");
  await look(page, "admin-users");
  await page.getByRole("button", { name: `Actions for ${email}` }).click();
  await page.getByRole("menuitem", { name: "Let in again" }).click();
  await confirm(page, "Let in again");
  await expect(row).not.toContainText("Suspended");
  await logIn(theirs, url, email);
  await theirs.context().close();

  await page.getByLabel("Find by e-mail").fill("nobody-at-all");
  await expect(page.getByText("Nobody is called like that")).toBeVisible();
});

test("an admin gives credits once, changes the plan and the rate of an account", async ({ page, owner, world }) => {
  await asRoot(page, world.instance.url, world.root.email, "accounts");
  await expect(page.getByRole("row").filter({ hasText: owner.email })).toContainText("Free");
  await look(page, "admin-accounts");
  await page.getByLabel("Find by e-mail").fill("nobody-at-all");
  await expect(page.getByText("No account is called like that")).toBeVisible();
  await page.getByLabel("Find by e-mail").fill(owner.email.toUpperCase());
  await expect(page.getByRole("row")).toHaveCount(2);
  await page.getByRole("link", { name: owner.email }).click();
  await expect(page.getByRole("heading", { name: owner.email })).toBeVisible();
  const available = page.getByRole("definition").first();
  await expect(available).toHaveText("250 credits");

  const give = async () => {
    await page.getByRole("button", { name: "Give credits" }).first().click();
    await page.getByRole("textbox", { name: "Credits", exact: true }).fill("1200");
    await page.getByRole("combobox", { name: "Kind" }).click();
    await page.getByRole("option", { name: /^Top-up/ }).click();
    await page.getByLabel("Reference").fill("invoice 4711");
  };
  await give();
  await expect(page.getByText("Worth $12.00")).toBeVisible();
  await look(page, "admin-account-give");
  await page.getByRole("dialog", { name: /^Give/ }).getByRole("button", { name: "Give credits" }).click();
  await expect(available).toHaveText("1,450 credits");
  await expect(page.getByRole("row").filter({ hasText: "invoice 4711" })).toContainText("1,200 credits");
  await give();
  await page.getByRole("dialog", { name: /^Give/ }).getByRole("button", { name: "Give credits" }).click();
  await expect(page.getByText("invoice 4711 was given before")).toBeVisible();
  await expect(available).toHaveText("1,450 credits");
  await give();
  await page.getByRole("textbox", { name: "Credits", exact: true }).fill("5");
  await page.getByRole("dialog", { name: /^Give/ }).getByRole("button", { name: "Give credits" }).click();
  await expect(page.getByRole("alert")).toContainText("conflict");
  await page.getByRole("button", { name: "Cancel" }).click();

  await page.getByRole("button", { name: "Change plan" }).click();
  await page.getByRole("combobox", { name: "Plan" }).click();
  await page.getByRole("option", { name: /^Pro/ }).click();
  await expect(page.getByRole("dialog", { name: /^Plan/ })).toContainText("2,000 credits come at once");
  await look(page, "admin-account-plan");
  await page.getByRole("dialog", { name: /^Plan/ }).getByRole("button", { name: "Change plan" }).click();
  await expect(page.getByRole("heading", { name: "Plan: Pro" })).toBeVisible();
  await expect(available).toHaveText("3,200 credits");

  await page.getByRole("button", { name: "Change rate" }).click();
  await page.getByLabel("Charges are multiplied by").fill("5000");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("alert")).toBeVisible();
  await page.getByLabel("Charges are multiplied by").fill("0.8");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("definition").filter({ hasText: /^0\.8$/ })).toBeVisible();
  await look(page, "admin-account");
});

test("a plan is made, edited and removed, and one that an account has stays", async ({ page, world }) => {
  await asRoot(page, world.instance.url, world.root.email, "plans");
  await expect(page.getByRole("row").filter({ hasText: "Free" })).toContainText("New accounts");
  await page.getByRole("button", { name: "New plan" }).click();
  await page.getByRole("textbox", { name: "Name", exact: true }).fill("Team");
  await page.getByLabel("Id", { exact: true }).fill("team");
  await page.getByLabel("Credits a month").fill("5000");
  await page.getByLabel(/^Workspaces/).fill("20");
  await page.getByRole("checkbox", { name: /Level 3/ }).click();
  await look(page, "admin-plans-new");
  await page.getByRole("button", { name: "Make plan" }).click();
  const row = page.getByRole("row").filter({ hasText: "Team" });
  await expect(row).toContainText("5,000 credits");
  await look(page, "admin-plans");

  await row.getByRole("button", { name: "Actions for Team" }).click();
  await page.getByRole("menuitem", { name: "Edit" }).click();
  await page.getByLabel("Credits a month").fill("6000");
  // Another admin is faster.
  const { terms } = await (await page.request.get("/api/v1/admin/plans/team")).json();
  const theirs = { name: "Team", rank: 9, terms: { ...terms, byok: false } };
  expect((await page.request.put("/api/v1/admin/plans/team", { data: theirs })).ok()).toBe(true);
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Somebody else changed this plan meanwhile")).toBeVisible();
  await expect(page.getByRole("checkbox", { name: "Use own keys" })).not.toBeChecked();
  await expect(page.getByLabel("Credits a month")).toHaveValue("6000");
  await look(page, "admin-plans-overtaken");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(row).toContainText("6,000 credits");
  const saved = await (await page.request.get("/api/v1/admin/plans/team")).json();
  expect(saved).toMatchObject({ rank: 9, terms: { byok: false, monthly_credits: 6000 } });
  await row.getByRole("button", { name: "Actions for Team" }).click();
  await page.getByRole("menuitem", { name: "Remove" }).click();
  await confirm(page, "Remove plan");
  await expect(row).toBeHidden();

  await page.getByRole("button", { name: "Actions for Enterprise" }).click();
  await page.getByRole("menuitem", { name: "Remove" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Remove plan" }).click();
  await expect(page.getByRole("alertdialog").getByRole("alert")).toBeVisible();
});

test("whoever does not manage the instance finds no page of it", async ({ page, owner }) => {
  await page.goto("/console/admin/users");
  await expect(page.getByRole("heading", { name: "There is no such page" })).toBeVisible();
  const refused = await page.request.post("/api/v1/users", {
    data: { email: `no-${owner.email}`, password: PASSWORD },
  });
  expect(refused.status()).toBe(403);
});
