import { Instance } from "./support/instance";
import { PASSWORD } from "./support/people";
import { expect, look, test } from "./support/test";

test("the printed link creates the admin, and the token leaves the address bar", async ({ page }) => {
  const fresh = await Instance.start();
  try {
    await page.goto(`${fresh.url}/setup#token=${fresh.setupToken}`);
    await expect(page.getByRole("heading", { name: "Set up Keybearer" })).toBeVisible();
    expect(page.url()).toBe(`${fresh.url}/console/setup`);
    await look(page, "setup");
    await page.getByLabel("E-mail").fill("first@example.com");
    await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await page.getByLabel("The same password again").fill("something else");
    await page.getByRole("button", { name: "Create the admin" }).click();
    await expect(page.getByText("The two passwords differ.")).toBeVisible();
    await page.getByLabel("The same password again").fill(PASSWORD);
    await page.getByRole("button", { name: "Create the admin" }).click();
    await expect(page.getByRole("heading", { name: "Your API key" })).toBeFocused();
    await expect(page.getByRole("region", { name: "API key" })).toContainText("kb_");
    await look(page, "setup-done");
    const key = await page.getByRole("region", { name: "API key" }).innerText();
    await page.getByRole("link", { name: "Go on" }).click();
    await expect(page).toHaveURL(/\/console\/w\/ws_[a-z0-9]+\//);
    // The snippet works as it is pasted, and the key is nowhere but in this view.
    await expect(page.getByRole("region", { name: "curl" })).toContainText(`Bearer ${key}`);
    const kept = await page.evaluate(() => JSON.stringify([history.state, { ...localStorage }, { ...sessionStorage }]));
    expect(kept).not.toContain(key);
    expect(page.url()).not.toContain(key);
    await page.getByRole("link", { name: "Models", exact: true }).click();
    // The page with the key has to be gone before it is asked for again: it would stay as it is otherwise.
    await expect(page.getByRole("heading", { name: "Models", level: 1 })).toBeVisible();
    await page.getByRole("link", { name: "Get started", exact: true }).click();
    const curl = page.getByRole("region", { name: "curl" });
    await expect(curl).toContainText("export KEYBEARER_API_KEY=");
    await expect(curl).toContainText("Bearer $KEYBEARER_API_KEY");
    await look(page, "start-fresh");

    await page.goto(`${fresh.url}/setup#token=${fresh.setupToken}`);
    await expect(page.getByText("This instance is set up already.")).toBeVisible();
  } finally {
    await fresh.stop();
  }
});
