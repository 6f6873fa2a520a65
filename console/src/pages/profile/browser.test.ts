import { expect, test } from "vitest";
import { browserName } from "./browser";

test("a browser is called as people call it", () => {
  const chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36";
  expect(browserName(chrome)).toBe("Chrome on Linux");
  expect(browserName(`${chrome} Edg/142.0`)).toBe("Edge on Linux");
  expect(browserName("curl/8.14")).toBe("curl");
  expect(browserName("")).toBe("A client without a name");
});
