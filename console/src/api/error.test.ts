import { describe, expect, it } from "vitest";
import { ApiError, asApiError, sentence } from "./error";

describe("a refusal", () => {
  it("says what the server said, and when to come back", () => {
    const body = { code: "too_many_attempts", detail: "there were too many failed attempts", request_id: "req_1" };
    const error = new ApiError(429, body, "90");
    expect(error).toMatchObject({ status: 429, code: "too_many_attempts", requestId: "req_1", retryAfterS: 90 });
    expect(new ApiError(429, body, "Wed, 21 Oct 2026 07:28:00 GMT").retryAfterS).toBeUndefined();
    expect(new ApiError(429, body, null).retryAfterS).toBeUndefined();
  });

  it("is one whatever came, such as a page of a proxy", () => {
    for (const body of [undefined, null, "<html>", [], { code: 5 }])
      expect(new ApiError(502, body)).toMatchObject({ code: "unknown_answer", detail: "the server answered 502" });
    expect(asApiError(new Error("odd"))).toMatchObject({ code: "console_error", detail: "odd" });
  });

  it("is a sentence on a page", () => {
    expect(sentence("the key is unknown")).toBe("The key is unknown.");
    expect(sentence("Really?")).toBe("Really?");
  });
});
