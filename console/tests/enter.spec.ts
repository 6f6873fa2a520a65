import { Instance } from "./support/instance";
import { expect, look, test } from "./support/test";

test("a local instance lets its owner in by a link, once", async ({ page }) => {
  const local = await Instance.startLocal();
  try {
    await page.goto(`${local.url}/console/`);
    await expect(page.getByText("keybearer console")).toBeVisible();
    await look(page, "login-local");
    const link = await local.consoleLink();
    await page.goto(link);
    await expect(page.getByRole("heading", { name: "Keys", exact: true })).toBeVisible();
    await page.goBack();
    expect(page.url()).not.toContain("token");

    await page.context().clearCookies();
    await page.goto("about:blank");
    await page.goto(link);
    await expect(page.getByRole("alert")).toContainText("invalid_console_link");
    expect(page.url()).toBe(`${local.url}/console/enter`);
    await look(page, "enter-used");
    await page.goto("about:blank");
    await page.goto(await local.consoleLink());
    await expect(page.getByRole("heading", { name: "Keys", exact: true })).toBeVisible();
  } finally {
    await local.stop();
  }
});
