import { logIn, post } from "./support/people";
import { expect, look, test } from "./support/test";

test("an admin sees what a profile would change, applies it, and goes back", async ({ page, world }) => {
  const { url } = world.instance;
  const modes = async () => (await (await page.request.get("/api/v1/admin/settings")).json()).modes as string[];
  await logIn(page, url, world.root.email);
  await post(page.request, `${url}/api/v1/admin/profiles/default`, {});
  try {
    await page.goto("/console/admin/profiles");
    await expect(page.getByRole("link", { name: /^default/ })).toContainText("In force");
    await expect(page.getByRole("link", { name: /^xai/ })).toContainText(/\d+ changes/);
    await look(page, "admin-profiles");
    await page.getByRole("link", { name: /^xai/ }).click();
    await expect(page.getByRole("heading", { name: "Profile: xai" })).toBeVisible();
    const row = page.getByRole("row").filter({ hasText: "modes" });
    await expect(row).toContainText("managed, byok, auto");
    await look(page, "admin-profile");
    expect(await modes()).toContain("managed");

    await page.getByRole("button", { name: "Apply" }).click();
    await expect(page.getByRole("alertdialog")).toContainText("Keys are kept");
    await page.getByRole("alertdialog").getByRole("button", { name: "Apply" }).click();
    await expect(page.getByText("Every setting and plan that this profile speaks of")).toBeVisible();
    expect(await modes()).toEqual(["byok"]);
    await look(page, "admin-profile-in-force");
    await page.getByRole("link", { name: "All profiles" }).click();
    await expect(page.getByRole("link", { name: /^xai/ })).toContainText("In force");
    await expect(page.getByRole("link", { name: /^default/ })).not.toContainText("In force");
    await page.goto("/console/admin/profiles/nothing");
    await expect(page.getByRole("alert")).toContainText("not_found");
  } finally {
    await post(page.request, `${url}/api/v1/admin/profiles/default`, {});
  }
});
