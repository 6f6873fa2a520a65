/** Runs of the Studio, with what the scripted provider makes of them. */
import { expect, type Page, request } from "@playwright/test";
import type { Instance } from "./instance";
import { newKey } from "./keys";
import { PASSWORD, type Person, post } from "./people";

/** A picture of one pixel that a browser can show. */
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/** An answer of chat completions with this text. */
export const says = (content: string) => ({
  status: 200,
  body: {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1_700_000_000,
    model: "gpt-4o-mini",
    choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
    usage: { prompt_tokens: 19, completion_tokens: 5, total_tokens: 24 },
  },
});

/** An own key of OpenAI for the workspace, made over the API; it alone pays. Gives back the key. */
export async function ownKey(page: Page, person: Person, label: string): Promise<string> {
  const key = newKey();
  await post(page.request, `/api/v1/workspaces/${person.workspace}/provider-keys`, { provider: "openai", label, key });
  await payBy(page, person, "byok");
  return key;
}

/** Sets the workspace's mode: who pays for its calls. */
export async function payBy(page: Page, person: Person, mode: "byok" | "auto") {
  const answer = await page.request.patch(`/api/v1/workspaces/${person.workspace}/policy`, { data: { mode } });
  expect(answer.ok(), await answer.text()).toBe(true);
}

/** The instance makes pictures with a platform key, and the account has credits for them; gives back what undoes it. */
export async function makesPictures(instance: Instance, root: Person, account: string): Promise<() => Promise<void>> {
  const admin = await request.newContext({ baseURL: instance.url });
  await post(admin, "/api/v1/sessions", { email: root.email, password: PASSWORD });
  const key = newKey();
  const stored = await post(admin, "/api/v1/admin/platform-keys", { provider: "openai", label: "pictures", key });
  const set = async (image_models: object[] | null) => {
    const answer = await admin.patch("/api/v1/admin/settings", { data: { image_models } });
    expect(answer.ok(), await answer.text()).toBe(true);
  };
  await set([{ provider: "openai", model: "gpt-image-2", credits_per_image: "5" }]);
  await post(admin, `/api/v1/admin/accounts/${account}/credits`, { kind: "grant", credits: "1000" });
  await instance.script({ key, status: 200, body: { created: 1_700_000_000, data: [{ b64_json: PNG }] } });
  return async () => {
    await set(null);
    await admin.delete(`/api/v1/admin/platform-keys/${stored.id}`);
    await admin.dispose();
  };
}

/** Starts a run in the page and waits until the page is the run's. */
export async function startRun(page: Page, workspace: string, prompt: string, pictures = false) {
  await page.goto(`/console/w/${workspace}/studio`);
  await page.getByRole("button", { name: "New run" }).click();
  await page.getByLabel("Prompt").fill(prompt);
  await chooseModel(page);
  if (pictures) await page.getByRole("checkbox", { name: "Pictures" }).click();
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.getByRole("heading", { name: prompt, level: 1 })).toBeVisible();
}

export async function chooseModel(page: Page) {
  await page.getByRole("combobox", { name: "Model" }).fill("gpt-4o-mini");
  await page
    .getByRole("option", { name: /^openai\/gpt-4o-mini\b/ })
    .first()
    .click();
}

export const status = (page: Page) => page.getByRole("status").first();
