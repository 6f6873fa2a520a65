import { newKey } from "./support/keys";
import { expect, test } from "./support/test";

test("a key in an answer, a request or the document is noticed on every page", async ({ page, owner, faults }) => {
  const key = newKey();
  await page.route("**/answer/*", async (route) => {
    const text = { plain: key, base64: Buffer.from(`x${key}`).toString("base64") }[
      new URL(route.request().url()).pathname.split("/").at(-1) ?? ""
    ];
    await route.fulfill({ status: 200, contentType: "text/event-stream", body: `data: ${text}\n\n` });
  });
  await page.goto(`/console/w/${owner.workspace}/keys`);
  await expect(page.getByText("No provider keys yet")).toBeVisible();
  expect(faults).toEqual([]);
  const noticed = async (fault: string, act: () => Promise<unknown>) => {
    await act();
    await expect.poll(() => faults.splice(0)).toContain(fault);
  };
  await noticed("a key in the answer of /answer/plain", () => page.evaluate(() => fetch("/answer/plain")));
  await noticed("a key in the answer of /answer/base64", () => page.evaluate(() => fetch("/answer/base64")));
  await noticed("a key left the page: POST /answer/none", () =>
    page.evaluate((body) => fetch("/answer/none", { method: "POST", body }).then(() => undefined), key),
  );
  const shown = `a key in the document of ${new URL(page.url()).pathname}`;
  await noticed(shown, () => page.evaluate((key) => document.body.append(key), key));
  await noticed(shown, () => page.evaluate((key) => document.body.setAttribute("value", key), key));
  await noticed(`a key in the storage of ${new URL(page.url()).pathname}`, () =>
    page.evaluate((key) => localStorage.setItem("draft", key), key),
  );
});
