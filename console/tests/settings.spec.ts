import { request } from "@playwright/test";
import { PASSWORD, post } from "./support/people";
import { confirm, expect, look, test } from "./support/test";

test("a workspace is renamed, and deleted only after its name is typed", async ({ page, owner }) => {
  const made = await page.request.post("/api/v1/workspaces", { data: { name: "Second" } });
  const { id } = await made.json();
  await page.goto(`/console/w/${id}/settings`);
  await page.getByLabel("Workspace name").fill("Renamed");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("button", { name: "Workspace: Renamed" })).toBeVisible();
  await look(page, "settings");
  await page.getByRole("button", { name: "Delete workspace" }).click();
  const dialog = page.getByRole("alertdialog");
  const confirm = dialog.getByRole("button", { name: "Delete workspace" });
  await expect(confirm).toBeDisabled();
  await dialog.getByLabel("Type Renamed to confirm").fill("renamed");
  await expect(confirm).toBeDisabled();
  await dialog.getByLabel("Type Renamed to confirm").fill("Renamed");
  await look(page, "settings-delete");
  await confirm.click();
  await expect(page.getByText("Renamed is deleted")).toBeVisible();
  await expect(page).toHaveURL(new RegExp(`/console/w/${owner.workspace}/`));
  expect((await page.request.get(`/api/v1/workspaces/${id}`)).status()).toBe(404);
});

test("keys are handed out only after a word on what that means, and taken back by one click", async ({
  page,
  owner,
  world,
}) => {
  const admin = await request.newContext({ baseURL: world.instance.url });
  await post(admin, "/api/v1/sessions", { email: world.root.email, password: PASSWORD });
  const stored = async () =>
    (await (await page.request.get(`/api/v1/workspaces/${owner.workspace}/policy`)).json()).release_keys;
  await page.goto(`/console/w/${owner.workspace}/settings`);
  const release = page.getByRole("switch", { name: "Hand keys of this workspace out" });
  await expect(release).not.toBeChecked();
  await release.click();
  await expect(page.getByRole("alertdialog")).toContainText("in plain text");
  await look(page, "settings-release");
  // Not where the instance does not allow it.
  const dialog = page.getByRole("alertdialog");
  await dialog.getByRole("button", { name: "Allow release" }).click();
  await expect(dialog.getByRole("alert")).toContainText("release_keys_allowed");
  expect(await stored()).toBe(false);
  await admin.patch("/api/v1/admin/settings", { data: { release_keys_allowed: true } });
  await confirm(page, "Allow release");
  await expect(release).toBeChecked();
  expect(await stored()).toBe(true);
  await release.click();
  await expect(release).not.toBeChecked();
  await expect.poll(stored).toBe(false);
  await admin.patch("/api/v1/admin/settings", { data: { release_keys_allowed: null } });
  await admin.dispose();
});
