import { confirm, expect, look, test } from "./support/test";

test("an API key is minted, shown once, called with, and revoked", async ({ page, owner }) => {
  await page.goto(`/console/w/${owner.workspace}/api-keys`);
  await expect(page.getByText("No API keys yet")).toBeVisible();
  await look(page, "api-keys-empty");
  await page.getByRole("button", { name: "New API key" }).click();
  await expect(page.getByLabel("Name")).toBeFocused();
  await page.getByLabel("Name").fill("ci");
  await page.getByRole("combobox", { name: "Expires" }).click();
  await page.getByRole("option", { name: "In 30 days" }).click();
  await page.getByRole("combobox", { name: "Permissions" }).click();
  await page.getByRole("option", { name: "Chosen scopes" }).click();
  await page.getByRole("checkbox", { name: "workspace:read" }).click();
  await look(page, "api-keys-new");
  await page.getByRole("button", { name: "Mint" }).click();
  const key = await page.getByRole("region", { name: "API key" }).innerText();
  expect(key).toMatch(/^kb_/);
  await look(page, "api-keys-minted");
  await page.getByRole("button", { name: "I have kept it" }).click();
  expect(await page.content()).not.toContain(key);
  const row = page.getByRole("row").filter({ hasText: "ci" });
  await expect(row).toContainText("2 scopes");
  await expect(row).toContainText("next month");
  await page.getByRole("button", { name: "Edit ci" }).click();
  await page.getByRole("combobox", { name: "Default model" }).fill("openai/gpt-5.4-nano");
  await page.getByRole("option", { name: /^openai\/gpt-5.4-nano/ }).click();
  await page.getByRole("combobox", { name: "Expires" }).click();
  await page.getByRole("option", { name: "In 90 days" }).click();
  await look(page, "api-keys-edit");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(row).toContainText("by default openai/gpt-5.4-nano");
  await expect(row).toContainText("in 3 months");
  await look(page, "api-keys");

  const call = () => fetch(new URL("/api/v1/whoami", page.url()), { headers: { authorization: `Bearer ${key}` } });
  expect((await (await call()).json()).kind).toBe("api_key");
  await page.getByRole("button", { name: "Revoke ci" }).click();
  await confirm(page, "Revoke");
  await expect(row.getByText("Revoked")).toBeVisible();
  expect((await call()).status).toBe(401);
});

test("a refusal is shown with its code where it was asked for", async ({ page, owner }) => {
  await page.goto(`/console/w/${owner.workspace}/api-keys`);
  await page.route("**/api-keys", (route) =>
    route.request().method() === "POST" ? route.abort("connectionrefused") : route.fallback(),
  );
  await page.getByRole("button", { name: "New API key" }).click();
  await page.getByLabel("Name").fill("ci");
  await page.getByRole("button", { name: "Mint" }).click();
  await expect(page.getByRole("alert")).toContainText("unreachable");
});
