import createClient from "openapi-fetch";
import { ApiError, unreachable } from "./error";
import { setReachable } from "./reachable";
import type { components, paths } from "./schema";

/** The types of the API's documents, by their names in `openapi.json`. */
export type Schemas = components["schemas"];

/** The one client. Every call goes through `ok`, so that a refusal is always an `ApiError`. */
export const api = createClient<paths>({ baseUrl: "/", credentials: "same-origin" });

/** What the client answers with, before it is looked at. */
export interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The document of a successful answer; throws an `ApiError` for everything else. */
export async function ok<T>(call: Promise<Answer<T>>): Promise<NonNullable<T>> {
  let answer: Answer<T>;
  try {
    answer = await call;
  } catch (error) {
    // `fetch` itself failed, or the answer was cut off.
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    setReachable(false);
    throw unreachable();
  }
  setReachable(true);
  if (!answer.response.ok) {
    throw new ApiError(answer.response.status, answer.error, answer.response.headers.get("retry-after"));
  }
  return answer.data as NonNullable<T>;
}
