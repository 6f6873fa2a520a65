/**
 * Notes provider keys in what a page gets, sends, shows and keeps. All keys of the tests look alike (`newKey`), so that
 * nobody has to say which ones to look for.
 */
import type { CDPSession, Page } from "@playwright/test";

/** The keys of the tests: as they are, and in base64 (whose letters depend on where it begins) and hexadecimal. */
const FORMS = [
  /sk-(?:proj|ant-api03)-[0-9a-f]{24,}/,
  /c2stcHJvai|NrLXByb2ot|zay1wcm9qL/,
  /c2stYW50LWFwaTAz|NrLWFudC1hcGkwMy|zay1hbnQtYXBpMD/,
  /736b2d70726f6a2d|736b2d616e742d61/i,
];

const holdsKey = (text: string) => FORMS.some((form) => form.test(text));

/** What is still being read; to be waited for before the page is judged. */
export interface Leaks {
  settled(): Promise<void>;
}

export async function watchForKeys(page: Page, faults: string[]): Promise<Leaks> {
  const reading = new Set<Promise<unknown>>();
  const browser = await page.context().newCDPSession(page);
  await browser.send("Network.enable");
  watchAnswers(browser, faults, (work) => {
    reading.add(work);
    work.finally(() => reading.delete(work));
  });
  page.on("request", (request) => {
    if (holdsKey(`${request.url()} ${JSON.stringify(request.headers())} ${request.postData() ?? ""}`))
      faults.push(`a key left the page: ${request.method()} ${path(request.url())}`);
  });
  await page.exposeFunction("reportKeyInPage", (where: string) => {
    faults.push(`a key in ${where} of ${path(page.url())}`);
  });
  await page.addInitScript(watchDocument, FORMS[0]?.source ?? "");
  return {
    settled: async () => {
      while (reading.size > 0) await Promise.all(reading);
    },
  };
}

/**
 * Bodies are read while they come, the endless ones of server-sent events too: a page that moves on forgets what it got
 * before.
 */
function watchAnswers(browser: CDPSession, faults: string[], read: (work: Promise<unknown>) => void): void {
  const bodies = new Map<string, { where: string; text: string }>();
  const take = (id: string, base64: string) => {
    const body = bodies.get(id);
    if (!body || base64 === "") return;
    body.text += Buffer.from(base64, "base64").toString("latin1");
    if (holdsKey(body.text)) {
      faults.push(`a key in the answer of ${body.where}`);
      bodies.delete(id);
    }
  };
  browser.on("Network.responseReceived", ({ requestId, response }) => {
    const where = path(response.url);
    if (holdsKey(JSON.stringify(response.headers))) faults.push(`a key in the headers of ${where}`);
    bodies.set(requestId, { where, text: "" });
    const whole = () =>
      browser.send("Network.getResponseBody", { requestId }).then(
        ({ body, base64Encoded }) => take(requestId, base64Encoded ? body : Buffer.from(body).toString("base64")),
        // Without a body (204, 304 and redirects), or the page is gone.
        () => undefined,
      );
    read(
      browser
        .send("Network.streamResourceContent", { requestId })
        .then(({ bufferedData }) => take(requestId, bufferedData), whole),
    );
  });
  browser.on("Network.dataReceived", ({ requestId, data }) => {
    if (data) take(requestId, data);
  });
}

/** Runs in the page, before its own scripts: looks at each change of the document, and at what is stored. */
function watchDocument(shape: string): void {
  const key = new RegExp(shape);
  const report = (where: string) =>
    (window as unknown as { reportKeyInPage(where: string): void }).reportKeyInPage(where);
  new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
      const texts =
        type === "childList"
          ? [...addedNodes].map((node) => (node instanceof Element ? node.outerHTML : (node.textContent ?? "")))
          : [target instanceof Element ? target.cloneNode(false) : target].map((node) =>
              node instanceof Element ? node.outerHTML : (node.textContent ?? ""),
            );
      if (texts.some((text) => key.test(text))) report("the document");
    }
  }).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
  const setItem = Storage.prototype.setItem;
  Storage.prototype.setItem = function (name, value) {
    if (key.test(`${name} ${value}`)) report("the storage");
    setItem.call(this, name, value);
  };
}

function path(url: string): string {
  const { pathname, protocol } = new URL(url);
  return protocol === "data:" ? "data" : pathname;
}
