import { readFile } from "node:fs/promises";
import type { Page } from "@playwright/test";
import { chooseModel, makesPictures, ownKey, payBy, says, startRun, status } from "./support/studio";
import { confirm, expect, joined, look, test } from "./support/test";

/** What a model that was told to do harm may write. */
const SCRIPT = `# Tides

The sea *rises* twice a day, <img src=x onerror="document.title='owned'"> and **falls**.

<script>document.title = "owned"</script>

| Tide | Height |
|---|--:|
| Spring | 4.2 m |

- [The moon](https://moon.example/tides) pulls
- [A trap](javascript:document.title='owned')

![A wave](https://evil.example/pixel.png)
`;

/** What a button saves, as text. */
async function saved(page: Page, button: string): Promise<{ name: string; text: string }> {
  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: button, exact: true }).click(),
  ]);
  return { name: file.suggestedFilename(), text: await readFile(await file.path(), "utf8") };
}

test("a script is written with an own key, read, saved, shared, unshared and deleted", async ({
  page,
  owner,
  browser,
  world,
}) => {
  const { url } = world.instance;
  const key = await ownKey(page, owner, "Studio");
  await world.instance.script({ key, ...says(SCRIPT) });
  const theirs = await joined(page, browser, url, owner.workspace, "member");
  await page.goto(`/console/w/${owner.workspace}/studio`);
  await page.getByRole("button", { name: "New run" }).click();
  await page.getByLabel("Prompt").fill("A page about tides");
  await chooseModel(page);
  await expect(page.getByText("An own key serves; its provider bills the key's owner.")).toBeVisible();
  await look(page, "studio-new");
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.getByRole("heading", { name: "A page about tides", level: 1 })).toBeVisible();
  await expect(status(page)).toContainText("Succeeded");
  await expect(page.getByRole("list", { name: "Steps" })).toContainText("Own key");
  await expect(page.getByRole("link", { name: "Studio", exact: true }).last()).toBeVisible();

  // Read: as Markdown, and nothing in it runs, is fetched or leads astray.
  await expect(page.getByRole("heading", { name: "Tides", exact: true })).toBeVisible();
  await expect(page.getByRole("cell", { name: "4.2 m" })).toBeVisible();
  await expect(page.getByRole("link", { name: "The moon" })).toHaveAttribute("href", "https://moon.example/tides");
  await expect(page.getByRole("link", { name: "A trap" })).toHaveCount(0);
  await expect(page.locator("main img")).toHaveCount(0);
  await expect(page).toHaveTitle("A page about tides · Keybearer");
  await look(page, "studio-run");

  const markdown = await saved(page, "Save as Markdown");
  expect(markdown).toMatchObject({ name: "A-page-about-tides.md", text: expect.stringContaining("# Tides") });
  const html = await saved(page, "Save as HTML");
  expect(html.text).toContain("<h1>Tides</h1>");
  expect(html.text).not.toContain("<script");

  // Shared: with nobody at first, then with whoever has the link, then with nobody again.
  const run = page.url();
  await theirs.page.goto(run);
  await expect(theirs.page.getByText("There is no such run")).toBeVisible();
  await look(theirs.page, "studio-gone");
  await page.getByRole("button", { name: "Share" }).click();
  await page.getByRole("combobox", { name: "Who may read it" }).click();
  await page.getByRole("option", { name: /^Link/ }).click();
  await page.getByRole("button", { name: "Make a link" }).click();
  const link = await page.getByRole("region", { name: "Link" }).innerText();
  const stranger = await browser.newContext();
  const read = async () => (await stranger.request.get(new URL(new URL(link).pathname, url).href)).status();
  expect(await read()).toBe(200);
  // The moment is in the zone of whoever reads.
  const abroad = await browser.newContext({ baseURL: url, locale: "en-US", timezoneId: "Asia/Kathmandu" });
  const shared = await abroad.newPage();
  await shared.goto(link);
  const written = shared.locator("footer time");
  const moment = new Date(String(await written.getAttribute("datetime")));
  const words = { dateStyle: "long", timeStyle: "short", timeZone: "Asia/Kathmandu" } as const;
  await expect(written).toHaveText(new Intl.DateTimeFormat("en-US", words).format(moment));
  await abroad.close();
  await page.getByRole("button", { name: "Done" }).click();
  await theirs.page.reload();
  await expect(theirs.page.getByRole("heading", { name: "Tides", exact: true })).toBeVisible();
  await expect(theirs.page.getByText(`by ${owner.email}`)).toBeVisible();
  await expect(theirs.page.getByRole("button", { name: /^(Share|Delete|Try again)$/ })).toHaveCount(0);
  await page.getByRole("button", { name: "Share" }).click();
  await page.getByRole("combobox", { name: "Who may read it" }).click();
  await page.getByRole("option", { name: /^Private/ }).click();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("Private You alone read it.")).toBeVisible();
  expect(await read()).toBe(404);
  await stranger.close();
  await theirs.page.context().close();

  await page.getByRole("link", { name: "All runs" }).click();
  await expect(page.getByRole("link", { name: "A page about tides" })).toBeVisible();
  await look(page, "studio");
  await page.getByRole("link", { name: "A page about tides" }).click();
  await page.getByRole("button", { name: "Delete" }).click();
  await confirm(page, "Delete");
  await expect(page.getByText("No runs yet")).toBeVisible();
});

test("pictures are made with credits beside a script with an own key", async ({ page, owner, world }) => {
  const key = await ownKey(page, owner, "Writer");
  await world.instance.script({ key, ...says("# Waves") });
  // The page says why there can be none before anything is made: here no models are set, then nothing pays for them.
  const possible = async (why: string) => {
    await page.goto(`/console/w/${owner.workspace}/studio?new`);
    await expect(page.getByRole("dialog", { name: "New run" })).toContainText(why);
    await expect(page.getByRole("checkbox", { name: "Pictures" })).toBeDisabled();
    await expect(page.getByRole("checkbox", { name: "Script" })).toBeEnabled();
  };
  await possible("This instance has no image models. Ask an admin of the instance to set image models");
  await look(page, "studio-new-no-pictures");
  const undo = await makesPictures(world.instance, world.root, owner.account);
  await possible("An admin of the workspace can let credits pay on the page AI config");
  await payBy(page, owner, "auto");

  await startRun(page, owner.workspace, "Waves in two pictures", true);
  await expect(status(page)).toContainText("Succeeded");
  const steps = page.getByRole("list", { name: "Steps" }).getByRole("listitem");
  await expect(steps).toHaveCount(2);
  await expect(steps.first()).toContainText("Own key");
  await expect(steps.last()).toContainText("Credits");
  await expect(steps.last()).toContainText("openai/gpt-image-2");
  const picture = page.getByRole("img", { name: "The picture, made of the prompt" });
  await expect(picture).toBeVisible();
  await expect.poll(() => picture.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBe(1);
  const html = await saved(page, "Save as HTML");
  expect(html.text).toContain('src="data:image/png;base64,');
  await look(page, "studio-pictures");
  await undo();
});

test("a run is followed live, cancelled, tried again, fails with a way on, and succeeds", async ({
  page,
  owner,
  world,
}) => {
  const key = await ownKey(page, owner, "Worker");
  await world.instance.script({ key, ...says("never said"), delay_ms: 60_000 });
  await startRun(page, owner.workspace, "Slow words");
  await expect(status(page)).toContainText("The script is being made.");
  await look(page, "studio-running");
  await page.getByRole("button", { name: "Cancel run" }).click();
  await confirm(page, "Cancel run");
  await expect(status(page)).toContainText("Stopped before the script was made.");

  const body = { error: { message: "Incorrect API key provided", code: "invalid_api_key" } };
  await world.instance.script({ key, status: 401, body });
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(status(page)).toContainText("The script could not be made.");
  await expect(page.getByRole("alert")).toContainText("look at it on the page Keys");
  await look(page, "studio-failed");

  await world.instance.script({ key, ...says("Here they are.") });
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(status(page)).toContainText("Succeeded");
  await expect(page.getByText("Here they are.")).toBeVisible();
  await expect(page.getByText("tried again 2 times")).toBeVisible();
  await page.getByRole("button", { name: "New run like this" }).click();
  await expect(page.getByRole("textbox", { name: "Prompt" })).toHaveValue("Slow words");
});

test("a run is followed on while its stream is refused, and by the stream once it is back", async ({
  page,
  owner,
  world,
}) => {
  const key = await ownKey(page, owner, "Worker");
  await world.instance.script({ key, ...says("At last."), delay_ms: 12_000 });
  const events = /\/runs\/[^/]+\/events$/;
  let refused = 0;
  await page.route(events, (route) => {
    refused += 1;
    return refused > 1 ? route.continue() : route.fulfill({ status: 429, body: "{}" });
  });
  await startRun(page, owner.workspace, "Words in a while");
  const away = page.getByText("The live stream is away; the page asks every two seconds.");
  await expect(away).toBeVisible();
  await expect(away).toBeHidden();
  await expect(status(page)).toContainText("Succeeded");
  await expect(page.getByText("At last.")).toBeVisible();
});
