import { addOpenAiKey, call, mint } from "./support/calls";
import { newKey } from "./support/keys";
import { logIn } from "./support/people";
import { expect, look, test } from "./support/test";

test("an admin sees the sealing key and replaces it, and stored keys and open pages go on", async ({
  page,
  owner,
  world,
  browser,
}) => {
  test.slow();
  const { url } = world.instance;
  const current = async () => (await (await page.request.get("/v1/byok/encryption-pubkey")).json()).kek_id as string;
  const before = await current();
  // Stored before, and a form that was opened before, with the key's fingerprint in it.
  await addOpenAiKey(page, owner.workspace);
  await page.goto(`/console/w/${owner.workspace}/keys`);
  await page.getByRole("button", { name: "Add key", exact: true }).first().click();
  await expect(page.getByTestId("kek-id")).toHaveText(before);
  const root = await (await browser.newContext({ baseURL: url, locale: "en-US" })).newPage();
  await logIn(root, url, world.root.email);
  await root.goto("/console/admin/sealing-key");
  await expect(root.getByText("The public key has this fingerprint")).toBeVisible({ timeout: 20_000 });
  const history = root.getByRole("region", { name: "History" });
  await expect(history.getByRole("row").filter({ hasText: before })).toContainText("By itself");

  await root.getByRole("button", { name: "Rotate now" }).click();
  await expect(root.getByRole("alertdialog")).toContainText("the old private half is destroyed");
  await look(root, "admin-sealing-key-rotate");
  await root.getByRole("alertdialog").getByRole("button", { name: "Cancel" }).click();
  await expect(root.getByRole("alertdialog")).toBeHidden();
  expect(await current()).toBe(before);
  await root.getByRole("button", { name: "Rotate now" }).click();
  await root.getByRole("alertdialog").getByRole("button", { name: "Rotate now" }).click();
  await expect(root.getByRole("alertdialog")).toBeHidden();
  const after = await current();
  expect(after).not.toBe(before);
  await expect(root.getByRole("definition").filter({ hasText: after })).toBeVisible();
  await expect(root.getByText("The public key has this fingerprint")).toBeVisible({ timeout: 20_000 });
  const row = history.getByRole("row").filter({ hasText: after });
  await expect(row).toContainText("You");
  await expect(row).toContainText("Current");
  await look(root, "admin-sealing-key");
  await root.context().close();

  // The form that was open seals to the key that there is now.
  await page.getByRole("combobox", { name: "Provider" }).fill("OpenAI");
  await page.getByRole("option", { name: /^OpenAI sk-/ }).click();
  await page.getByLabel("Key", { exact: true }).fill(newKey());
  await page.getByLabel("Label").fill("second");
  await page.getByRole("button", { name: "Seal and add" }).click();
  await expect(page.getByRole("status")).toContainText("OpenAI accepted the key.", { timeout: 40_000 });
  await page.getByRole("button", { name: "Done" }).click();
  await expect(page.getByRole("switch", { name: /OpenAI .* may serve/ })).toHaveCount(2);
  // The key from before serves: it was not sealed to the pair that is gone, but kept under the workspace's own key.
  await page.getByRole("switch", { name: "OpenAI second may serve" }).click();
  await expect(page.getByRole("switch", { name: "OpenAI second may serve" })).not.toBeChecked();
  const program = await mint(page, url, owner.workspace, "program");
  expect(await call(url, program.key, "openai/gpt-5.4-nano")).toBe(200);
});
