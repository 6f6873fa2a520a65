import { randomBytes } from "node:crypto";
import type { Page } from "@playwright/test";
import { expect, joined, look, test } from "./support/test";

const newKey = () => `sk-proj-${randomBytes(24).toString("hex")}`;
const unknown = {
  error: { message: "Incorrect API key provided", type: "invalid_request_error", code: "invalid_api_key" },
};

/** All that leaves the page, as text. */
function sent(page: Page): string[] {
  const all: string[] = [];
  page.on("request", (request) => {
    all.push(`${request.method()} ${request.url()} ${JSON.stringify(request.headers())} ${request.postData() ?? ""}`);
  });
  return all;
}

async function open(page: Page, workspace: string) {
  await page.goto(`/console/w/${workspace}/keys`);
  await expect(page.getByRole("heading", { name: "Keys", exact: true })).toBeVisible();
}

async function add(page: Page, key: string, label: string) {
  await page.getByRole("button", { name: "Add key", exact: true }).first().click();
  await page.getByRole("combobox", { name: "Provider" }).fill("OpenAI");
  await page.getByRole("option", { name: /^OpenAI sk-/ }).click();
  await page.getByLabel("Key", { exact: true }).fill(key);
  await page.getByLabel("Label").fill(label);
  await page.getByRole("button", { name: "Seal and add" }).click();
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

test("a key is switched off and on, edited, rotated, and removed with a word on what comes next", async ({
  page,
  owner,
  world,
}) => {
  await open(page, owner.workspace);
  await add(page, newKey(), "primary");
  await page.getByRole("button", { name: "Done" }).click();

  const toggle = page.getByRole("switch", { name: "OpenAI primary may serve" });
  await expect(toggle).toBeChecked();
  await toggle.click();
  await expect(page.getByText("Disabled", { exact: true })).toBeVisible();
  await toggle.click();
  await expect(page.getByText("Disabled", { exact: true })).toBeHidden();

  await page.getByRole("button", { name: "Actions for OpenAI primary" }).click();
  await page.getByRole("menuitem", { name: "Edit" }).click();
  await page.getByLabel("Label").fill("team");
  await page.getByLabel("Level").fill("3");
  await look(page, "keys-edit");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Level 3")).toBeVisible();

  const next = newKey();
  await page.getByRole("button", { name: "Actions for OpenAI team" }).click();
  await page.getByRole("menuitem", { name: "Rotate" }).click();
  await page.getByLabel("Key", { exact: true }).fill(next);
  await page.getByRole("button", { name: "Seal and rotate" }).click();
  await page.getByRole("button", { name: "Done" }).click();
  await expect(page.getByText(`${next.slice(0, 4)}...${next.slice(-4)}`)).toBeVisible();

  await page.getByRole("button", { name: "Actions for OpenAI team" }).click();
  await page.getByRole("menuitem", { name: "Remove" }).click();
  const dialog = page.getByRole("alertdialog");
  await expect(dialog).toContainText("From the next call on:");
  await expect(dialog).toContainText(/OpenAI's models/);
  await look(page, "keys-remove");
  await dialog.getByRole("button", { name: "Remove key" }).click();
  await expect(page.getByText("OpenAI team is removed")).toBeVisible();
  await expect(page.getByText("No provider keys yet")).toBeVisible();
  expect(await world.instance.providerRequests()).toBeGreaterThan(0);
});

test("keys are put in another order by the keyboard and by dragging, and stay so", async ({ page, owner }) => {
  await open(page, owner.workspace);
  for (const label of ["one", "two", "three"]) {
    await add(page, newKey(), label);
    await page.getByRole("button", { name: "Done" }).click();
  }
  const labels = () =>
    page.getByRole("switch").evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")?.split(" ")[1]));
  await expect.poll(labels).toEqual(["one", "two", "three"]);
  await page.getByRole("button", { name: "Move OpenAI one" }).focus();
  await page.keyboard.press("ArrowDown");
  await expect.poll(labels).toEqual(["two", "one", "three"]);
  await expect(page.getByText("OpenAI one is now number 2 of 3.")).toBeAttached();

  await look(page, "keys-order");
  const handle = await page.getByRole("button", { name: "Move OpenAI three" }).boundingBox();
  const first = await page.getByRole("button", { name: "Move OpenAI two" }).boundingBox();
  if (!handle || !first) throw new Error("the handles are visible");
  await page.mouse.move(handle.x + 8, handle.y + 8);
  await page.mouse.down();
  await page.mouse.move(first.x + 8, first.y + 4, { steps: 8 });
  await page.mouse.up();
  await expect.poll(labels).toEqual(["three", "two", "one"]);
  await page.waitForLoadState("networkidle");
  await page.reload();
  await expect.poll(labels).toEqual(["three", "two", "one"]);
});

test("members see that there is a key, and nothing more of it", async ({ page, owner, browser, world }) => {
  await open(page, owner.workspace);
  await add(page, newKey(), "hidden-label");
  await page.getByRole("button", { name: "Done" }).click();
  const member = await joined(page, browser, world.instance.url, owner.workspace, "member");
  const theirs = member.page;
  await theirs.goto(`/console/w/${owner.workspace}/keys`);
  await expect(theirs.getByText("A key may serve")).toBeVisible();
  await expect(theirs.getByRole("button", { name: "Add key" })).toBeHidden();
  expect(await theirs.content()).not.toContain("hidden-label");
  await look(theirs, "keys-member");
  expect(member.faults).toEqual([]);
  await theirs.context().close();
});

test("names with markup in them are text", async ({ page, owner }) => {
  // T111
  const name = '<img src=x onerror="document.title=1"><script>document.title=1</script>';
  await page.request.patch(`/api/v1/workspaces/${owner.workspace}`, { data: { name } });
  await open(page, owner.workspace);
  await expect(page.getByRole("button", { name: `Workspace: ${name}` })).toBeVisible();
  expect(await page.title()).toBe("Keys · Keybearer");
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
