/** Every page of the tables, as somebody opens it who may: a new one is in here by itself. */
import type { Page } from "@playwright/test";
import { ACCOUNT_PAGES, ADMIN_PAGES, type PageEntry, WORKSPACE_PAGES } from "../src/pages";
import { newKey } from "./support/keys";
import { logIn, post } from "./support/people";
import { startRun } from "./support/studio";
import { accessible, expect, test } from "./support/test";

/** What stands for a parameter of a path. A page with another one has to say here what that is. */
type Parameters = Record<string, () => Promise<string> | string>;

async function openAll(page: Page, part: string, pages: PageEntry[], parameters: Parameters = {}) {
  for (const { path, title } of pages) {
    const parts = path.split("/").map(async (piece) => {
      if (!piece.startsWith("$")) return piece;
      const value = parameters[piece];
      if (!value) throw new Error(`${part}/${path}: nothing stands for ${piece} in this test`);
      return value();
    });
    const place = `${part}/${(await Promise.all(parts)).join("/")}`;
    await page.goto(`/console/${place}`);
    const heading = page.getByRole("heading", { level: 1 });
    await expect(heading, place).toBeVisible();
    await expect(page.getByRole("heading", { name: "There is no such page" }), place).toHaveCount(0);
    if (!path.includes("$")) await expect(heading, place).toHaveText(title);
    await expect(page.getByRole("status", { name: /^(Loading|Asking)/ }), place).toHaveCount(0);
    for (const width of [1440, 360]) {
      await page.setViewportSize({ width, height: 900 });
      await accessible(page, `${place} at ${width} pixels`);
    }
    await page.setViewportSize({ width: 1440, height: 900 });
  }
}

test("every page of a workspace is accessible", async ({ page, owner }) => {
  test.slow();
  const key = { provider: "openai", label: "team", key: newKey() };
  await post(page.request, `/api/v1/workspaces/${owner.workspace}/provider-keys`, key);
  await openAll(page, `w/${owner.workspace}`, WORKSPACE_PAGES, {
    $run: async () => {
      await startRun(page, owner.workspace, "A page about tides");
      return page.url().split("/").at(-1) ?? "";
    },
  });
});

test("every page about oneself is accessible", async ({ page, owner: _ }) => {
  test.slow();
  await openAll(page, "account", ACCOUNT_PAGES);
});

test("every page of the instance is accessible", async ({ page, world }) => {
  test.slow();
  await logIn(page, world.instance.url, world.root.email);
  await openAll(page, "admin", ADMIN_PAGES, {
    $account: () => world.root.account,
    $provider: () => "openai",
    $profile: async () => {
      const { data } = await (await page.request.get("/api/v1/admin/profiles")).json();
      return String(data[0].name);
    },
  });
});
