import { added, newKey } from "./support/keys";
import { expect, look, test } from "./support/test";

test("a script is written with an own key, read, shared and deleted", async ({ page, owner, browser, world }) => {
  await page.goto(`/console/w/${owner.workspace}/keys`);
  await added(page, newKey(), "Studio");
  await page.goto(`/console/w/${owner.workspace}/studio`);
  await page.getByRole("button", { name: "New run" }).click();
  await page.getByLabel("Prompt").fill("A page about tides");
  await page.getByRole("combobox", { name: "Model" }).fill("gpt-4o-mini");
  await page
    .getByRole("option", { name: /^openai\/gpt-4o-mini\b/ })
    .first()
    .click();
  await look(page, "studio-new");
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.getByRole("heading", { name: "A page about tides" })).toBeVisible();
  await expect(page.getByRole("status").first()).toContainText("Succeeded", { timeout: 20_000 });
  await expect(page.getByRole("list", { name: "Steps" })).toContainText("own key");
  await expect(page.getByRole("heading", { name: "Script" })).toBeVisible();
  await look(page, "studio-run");
  await page.getByRole("button", { name: "Share" }).click();
  await page.getByRole("combobox", { name: "Who may read it" }).click();
  await page.getByRole("option", { name: /^Link/ }).click();
  await page.getByRole("button", { name: "Make a link" }).click();
  const link = await page.getByRole("region", { name: "Link" }).innerText();
  const stranger = await browser.newContext();
  expect((await stranger.request.get(new URL(new URL(link).pathname, world.instance.url).href)).status()).toBe(200);
  await stranger.close();
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("link", { name: "All runs" }).click();
  await look(page, "studio");
  await page.getByRole("link", { name: "A page about tides" }).click();
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Delete" }).click();
  await expect(page.getByText("No runs yet")).toBeVisible();
});
