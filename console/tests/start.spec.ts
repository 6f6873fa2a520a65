import { randomBytes } from "node:crypto";
import { expect, look, test } from "./support/test";

test("from nothing to the first call, which appears by itself", async ({ page, owner }) => {
  await page.goto(`/console/w/${owner.workspace}/start`);
  await expect(page.getByText("Waiting for the first call.")).toBeVisible();
  await look(page, "start");
  await page.getByRole("button", { name: "Add a provider key" }).click();
  await page.getByRole("combobox", { name: "Provider" }).fill("OpenAI");
  await page.getByRole("option", { name: /^OpenAI sk-/ }).click();
  await page.getByLabel("Key", { exact: true }).fill(`sk-proj-${randomBytes(24).toString("hex")}`);
  await page.getByRole("button", { name: "Seal and add" }).click();
  await page.getByRole("button", { name: "Done" }).click();
  await expect(page.getByText("This workspace has its own keys for OpenAI.")).toBeVisible();
  await page.getByRole("button", { name: "Mint an API key" }).click();
  const key = await page.getByRole("region", { name: "API key" }).innerText();

  // The snippet as it is pasted: address, headers and body out of its text.
  const snippet = await page.getByRole("region", { name: "curl" }).innerText();
  const url = /curl (\S+)/.exec(snippet)?.[1];
  const body = /-d '(.*)'/.exec(snippet)?.[1];
  expect(snippet).toContain(`Bearer ${key}`);
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const answer = await fetch(String(url), { method: "POST", headers, body });
  expect(answer.status).toBe(200);
  await answer.text();
  const calls = page.getByRole("list", { name: "Latest calls" });
  await expect(calls).toContainText("own key primary");
  await expect(calls).toContainText("tokens");
  await page.getByRole("tab", { name: "TypeScript" }).click();
  await expect(page.getByRole("region", { name: "TypeScript" })).toContainText("baseURL");
  await look(page, "start-done");
});
