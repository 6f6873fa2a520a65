/**
 * `test` with an instance for each worker and a fresh person for each test, whose page fails the test when its policy is
 * violated, a script throws, or a provider key is in anything that it gets, sends or shows. `look` checks a page as people
 * see it: accessible, and kept as pictures.
 */
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { type Browser, type BrowserContext, test as base, expect, type Page, request } from "@playwright/test";
import { Instance } from "./instance";
import { type Leaks, watchForKeys } from "./leaks";
import { logIn, newPerson, PASSWORD, type Person, post, setUp } from "./people";

const SCREENSHOTS = resolve(import.meta.dirname, "../../../target/console-screenshots");
mkdirSync(SCREENSHOTS, { recursive: true });
/** Milliseconds that each answer to a page is late by. */
export const LATENCY = Number(process.env.KEYBEARER_LATENCY ?? 0);

interface World {
  instance: Instance;
  root: Person;
}

interface Fixtures {
  /** Somebody who is logged in in `page`, owner of `owner.workspace`. */
  owner: Person;
  /** What went wrong in the test's pages beside its own checks, whoever's they are. Expected entries are taken out. */
  faults: string[];
}

export const test = base.extend<Fixtures, { world: World }>({
  world: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the pattern
    async ({}, use) => {
      const instance = await Instance.start();
      try {
        const context = await request.newContext();
        const root = await setUp(context, instance.url, instance.setupToken);
        await context.dispose();
        await use({ instance, root });
      } finally {
        await instance.stop();
      }
    },
    { scope: "worker" },
  ],
  baseURL: async ({ world }, use) => use(world.instance.url),
  faults: [
    async ({ page, browser }, use) => {
      const faults: string[] = [];
      const watched = [await watch(page, faults)];
      // Whichever pages and contexts a test opens beside its own are watched, too: nobody has to remember it.
      const watchPagesOf = (context: BrowserContext) => {
        const newPage = context.newPage;
        context.newPage = async () => {
          const other = await newPage.apply(context);
          watched.push(await watch(other, faults));
          return other;
        };
        return context;
      };
      watchPagesOf(page.context());
      const newContext = browser.newContext;
      browser.newContext = async (...options) => watchPagesOf(await newContext.apply(browser, options));
      await use(faults);
      browser.newContext = newContext;
      for (const leaks of watched) await leaks.settled();
      expect(faults, "faults of the pages").toEqual([]);
    },
    { auto: true },
  ],
  owner: async ({ page, world }, use) => {
    const { url } = world.instance;
    const admin = await request.newContext();
    await admin.post(`${url}/api/v1/sessions`, { data: { email: world.root.email, password: PASSWORD } });
    const person = await newPerson(admin, url);
    await admin.dispose();
    await logIn(page, url, person.email);
    const { workspaces } = await (await page.request.get(`${url}/api/v1/me`)).json();
    person.workspace = workspaces[0]?.id ?? (await ownWorkspace(page, url));
    await use(person);
  },
});

async function ownWorkspace(page: Page, url: string): Promise<string> {
  const made = await page.request.post(`${url}/api/v1/workspaces`, { data: { name: "Personal" } });
  return (await made.json()).id;
}

/** Somebody else, invited to the workspace by the person in `page`, in a browser of their own. */
export async function joined(page: Page, browser: Browser, url: string, workspace: string, role: "member" | "admin") {
  const email = `${role}-${Date.now()}@example.com`;
  const { token } = await post(page.request, `${url}/api/v1/workspaces/${workspace}/invitations`, { email, role });
  const context = await browser.newContext({ baseURL: url, locale: "en-US" });
  const theirs = await context.newPage();
  await post(theirs.request, `${url}/api/v1/invitations/accept`, { token, password: PASSWORD });
  await logIn(theirs, url, email);
  return { page: theirs, email };
}

/** Notes violations of the policy, errors of scripts, what the console says, and provider keys wherever they are. */
async function watch(page: Page, faults: string[]): Promise<Leaks> {
  page.on("pageerror", (error) => faults.push(`script: ${error.message}`));
  page.on("console", (message) => {
    // A refused request is logged by the browser itself; whether it should be refused is the test's to say.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
      faults.push(message.text());
    else if (/Content.Security.Policy|TrustedScript|TrustedHTML/i.test(message.text())) faults.push(message.text());
  });
  if (LATENCY > 0) await slowDown(page);
  return watchForKeys(page, faults);
}

/** Lets every answer come late, so that a test which goes on before its page does fails at each run, not at one of many. */
async function slowDown(page: Page): Promise<void> {
  const network = await page.context().newCDPSession(page);
  await network.send("Network.enable");
  await network.send("Network.emulateNetworkConditions", {
    offline: false,
    latency: LATENCY,
    downloadThroughput: -1,
    uploadThroughput: -1,
  });
}

/**
 * Looks at the page in both themes at 1440 and 360 pixels: axe finds nothing, nothing is wider than the window, and
 * pictures are kept. They show all of it: for them the window is as tall as what it would scroll.
 */
export async function look(page: Page, name: string): Promise<void> {
  for (const scheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    for (const width of [1440, 360]) {
      const height = width === 360 ? 780 : 900;
      await page.setViewportSize({ width, height });
      await page.setViewportSize({ width, height: height + (await page.evaluate(hidden)) });
      await page.screenshot({ path: `${SCREENSHOTS}/${name}-${width}-${scheme}.png`, animations: "disabled" });
      await page.setViewportSize({ width, height });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      expect(wide, `${name} at ${width} pixels scrolls sideways by`).toBeLessThanOrEqual(0);
      // What is shown differs between the two: tables are cards on phones, the sidebar a menu.
      // The themes differ in colours alone, so the rules of structure are asked once.
      await accessible(page, `${name} at ${width} pixels (${scheme})`, [], scheme === "dark" ? OF_COLOURS : undefined);
    }
  }
  await page.setViewportSize({ width: 1440, height: 900 });
}

/** The rules of axe that look at colours. */
const OF_COLOURS = ["color-contrast", "link-in-text-block"];

/** Axe finds nothing in the page as it is now, but for what the rules in `known` find. `rules`: only these are asked. */
export async function accessible(page: Page, name: string, known: string[] = [], rules?: string[]): Promise<void> {
  const axe = new AxeBuilder({ page });
  if (rules) axe.withRules(rules);
  else axe.withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]).disableRules(known);
  const found = await axe.analyze();
  const said = found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
  expect(said, `axe on ${name}`).toEqual([]);
}

/** How much of the page, or of what lies over it, is below the fold, once it is laid out for the window. */
async function hidden(): Promise<number> {
  await new Promise((laidOut) => requestAnimationFrame(() => requestAnimationFrame(laidOut)));
  const below = (element: Element) => element.scrollHeight - element.clientHeight;
  const root = document.documentElement;
  const scrolling = [...document.querySelectorAll("[role=dialog], [role=alertdialog], [role=dialog] *, nav")].filter(
    (element) => /auto|scroll/.test(getComputedStyle(element).overflowY),
  );
  return Math.min(6000, Math.max(below(root), ...scrolling.map(below)));
}

/**
 * Says yes to what a dialog asks, and waits until it is done: while a dialog is open nothing behind it counts as
 * visible, so that what should have gone seems gone before anything happened.
 */
export async function confirm(page: Page, action: string): Promise<void> {
  const asked = page.getByRole("alertdialog");
  await asked.getByRole("button", { name: action }).click();
  await expect(asked).toBeHidden();
}

export { expect };
