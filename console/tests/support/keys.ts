/** The Keys page, as the tests of several files use it. */
import { randomBytes } from "node:crypto";
import { expect, type Page } from "@playwright/test";

/** A key that no other test has. */
export const newKey = () => `sk-proj-${randomBytes(24).toString("hex")}`;

/** What OpenAI says of a key that it does not know. */
export const unknown = {
  error: { message: "Incorrect API key provided", type: "invalid_request_error", code: "invalid_api_key" },
};

export async function open(page: Page, workspace: string) {
  await page.goto(`/console/w/${workspace}/keys`);
  await expect(page.getByRole("heading", { name: "Keys", exact: true })).toBeVisible();
}

/** Fills in the dialog and submits it. */
export async function add(page: Page, key: string, label: string) {
  await page.getByRole("button", { name: "Add key", exact: true }).first().click();
  await page.getByRole("combobox", { name: "Provider" }).fill("OpenAI");
  await page.getByRole("option", { name: /^OpenAI sk-/ }).click();
  await page.getByLabel("Key", { exact: true }).fill(key);
  await page.getByLabel("Label").fill(label);
  await page.getByRole("button", { name: "Seal and add" }).click();
}

/** Adds a key that the provider accepts. */
export async function added(page: Page, key: string, label: string) {
  await add(page, key, label);
  await page.getByRole("button", { name: "Done" }).click();
}
