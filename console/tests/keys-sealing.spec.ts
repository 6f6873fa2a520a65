import type { Page } from "@playwright/test";
import { add, newKey, open, unknown } from "./support/keys";
import { expect, look, test } from "./support/test";

/** All that leaves the page, as text. */
function sent(page: Page): string[] {
  const all: string[] = [];
  page.on("request", (request) => {
    all.push(`${request.method()} ${request.url()} ${JSON.stringify(request.headers())} ${request.postData() ?? ""}`);
  });
  return all;
}

test("a key is sealed before it leaves the page; a failing probe stores nothing, a passing one does", async ({
  page,
  owner,
  world,
}) => {
  // T117
  const [bad, good] = [newKey(), newKey()];
  await world.instance.script({ key: bad, status: 401, body: unknown });
  const requests = sent(page);
  await open(page, owner.workspace);
  await expect(page.getByText("No provider keys yet")).toBeVisible();
  await look(page, "keys-empty");

  await add(page, bad, "production");
  await expect(page.getByRole("alert")).toContainText("probe_failed");
  await expect(page.getByLabel("Key", { exact: true })).toHaveValue("");
  await look(page, "keys-add-refused");

  const { kek_id } = await (await page.request.get("/v1/byok/encryption-pubkey")).json();
  await expect(page.getByTestId("kek-id")).toHaveText(kek_id);
  await page.getByLabel("Key", { exact: true }).fill(good);
  await page.getByRole("button", { name: "Seal and add" }).click();
  await expect(page.getByRole("status")).toContainText("OpenAI accepted the key.");
  await expect(page.getByRole("dialog")).toContainText(kek_id);
  await page.getByRole("button", { name: "Done" }).click();
  const row = page.getByRole("listitem").filter({ hasText: "production" });
  await expect(row).toContainText(`${good.slice(0, 4)}...${good.slice(-4)}`);
  await look(page, "keys");

  const submissions = requests.filter((text) => text.startsWith("POST") && text.includes("provider-keys"));
  expect(submissions).toHaveLength(2);
  for (const text of requests) {
    for (const key of [bad, good]) {
      for (const form of [
        key,
        Buffer.from(key).toString("base64").slice(4, 40),
        encodeURIComponent(key),
        Buffer.from(key).toString("hex"),
      ]) {
        expect(text.includes(form), "a key left the page").toBe(false);
      }
    }
  }
  for (const text of submissions) expect(text).toContain("ciphertext_b64");
  const held = await page.evaluate(() =>
    JSON.stringify([document.documentElement.outerHTML, { ...localStorage }, { ...sessionStorage }]),
  );
  for (const key of [bad, good]) expect(held.includes(key), "a key stays in the page").toBe(false);
});

test("a sealing key that is not what the server says it is gets no key", async ({ page, owner, faults }) => {
  // T30
  await page.route("**/v1/byok/encryption-pubkey", async (route) => {
    const answer = await (await route.fetch()).json();
    await route.fulfill({ json: { ...answer, public_key: Buffer.alloc(32, 7).toString("base64") } });
  });
  const requests = sent(page);
  await open(page, owner.workspace);
  await add(page, newKey(), "primary");
  await expect(page.getByText("The sealing key cannot be used")).toBeVisible();
  await expect(page.getByText("The key was not stored")).toBeVisible();
  expect(requests.filter((text) => text.startsWith("POST"))).toEqual([]);
  expect(faults).toEqual([]);
});

test("a sealing key that was replaced in between is fetched anew", async ({ page, owner }) => {
  await open(page, owner.workspace);
  let stale = 0;
  await page.route("**/provider-keys", async (route) => {
    if (route.request().method() !== "POST" || stale > 0) return route.fallback();
    stale += 1;
    const json = { code: "stale_kek", detail: "the sealing key was replaced", status: 409, details: {} };
    return route.fulfill({ status: 409, contentType: "application/problem+json", body: JSON.stringify(json) });
  });
  await add(page, newKey(), "primary");
  await expect(page.getByRole("status")).toContainText("OpenAI accepted the key.");
  expect(stale).toBe(1);
});
