/** Provider keys, API keys and calls, as people and programs make them. */
import { randomBytes } from "node:crypto";
import type { Page } from "@playwright/test";
import { post } from "./people";

/** Adds an own key of OpenAI in the page, sealed as always; gives back the key. */
export async function addOpenAiKey(page: Page, workspace: string): Promise<string> {
  const key = `sk-proj-${randomBytes(24).toString("hex")}`;
  await page.goto(`/console/w/${workspace}/start`);
  await page.getByRole("button", { name: "Add a provider key" }).click();
  await page.getByRole("combobox", { name: "Provider" }).fill("OpenAI");
  await page.getByRole("option", { name: /^OpenAI sk-/ }).click();
  await page.getByLabel("Key", { exact: true }).fill(key);
  await page.getByRole("button", { name: "Seal and add" }).click();
  await page.getByRole("button", { name: "Done" }).click();
  return key;
}

/** Mints an API key for programs. */
export async function mint(page: Page, url: string, workspace: string, name: string) {
  const made = await post(page.request, `${url}/api/v1/workspaces/${workspace}/api-keys`, {
    name,
    scopes: ["inference:invoke"],
  });
  return { id: String(made.id), key: String(made.key) };
}

/** Calls a model as a program does; gives back the status. */
export async function call(url: string, key: string, model: string): Promise<number> {
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }] }),
  });
  await answer.text();
  return answer.status;
}
