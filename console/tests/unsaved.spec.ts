import { expect, look, test } from "./support/test";

test("a page with changes that are not saved is left only after a question", async ({ page, owner }) => {
  const settings = `/console/w/${owner.workspace}/settings`;
  await page.goto(settings);
  const name = page.getByLabel("Workspace name");
  const nav = page.getByRole("navigation", { name: "Workspace" });
  const question = page.getByRole("alertdialog", { name: "Leave without saving?" });
  await name.fill("Changed");
  await nav.getByRole("link", { name: "Members" }).click();
  await expect(question).toBeVisible();
  await look(page, "unsaved");
  await question.getByRole("button", { name: "Stay here" }).click();
  await expect(question).toBeHidden();
  await expect(name).toHaveValue("Changed");
  expect(page.url()).toContain(settings);

  // The browser asks in its own words, and only while there is something to lose.
  let asked = 0;
  page.on("dialog", (dialog) => {
    asked += 1;
    void dialog.accept();
  });
  await page.reload();
  await expect(name).toHaveValue("Personal");
  expect(asked).toBe(1);
  await page.reload();
  await expect(name).toHaveValue("Personal");
  expect(asked).toBe(1);

  await name.fill("Changed");
  await nav.getByRole("link", { name: "Members" }).click();
  await question.getByRole("button", { name: "Leave without saving" }).click();
  await expect(page.getByRole("heading", { name: "Members" })).toBeVisible();
  await nav.getByRole("link", { name: "Settings" }).click();
  await expect(name).toHaveValue("Personal");
  await nav.getByRole("link", { name: "Members" }).click();
  await expect(page.getByRole("heading", { name: "Members" })).toBeVisible();
});

test("a password that was typed and not sent is not lost unasked", async ({ page, owner: _ }) => {
  await page.goto("/console/account/profile");
  await page.getByLabel("New password", { exact: true }).fill("another horse battery");
  await page.getByRole("navigation", { name: "Account" }).getByRole("link", { name: "Plan" }).click();
  const question = page.getByRole("alertdialog", { name: "Leave without saving?" });
  await question.getByRole("button", { name: "Stay here" }).click();
  await page.getByLabel("New password", { exact: true }).fill("");
  await page.getByRole("navigation", { name: "Account" }).getByRole("link", { name: "Plan" }).click();
  await expect(page.getByRole("heading", { name: "Your plan: Free" })).toBeVisible();
});
