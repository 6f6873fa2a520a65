/** A refusal of the server, or that it did not answer, as every page shows it. */
export class ApiError extends Error {
  readonly status: number;
  /** Stable; see docs/errors.md. `unreachable` when no answer came. */
  readonly code: string;
  /** What happened. */
  readonly detail: string;
  /** What to do about it. */
  readonly hint: string | undefined;
  /** Names the request in the server's log. */
  readonly requestId: string | undefined;
  /** Values for programs; their names depend on the code. */
  readonly details: Record<string, unknown>;
  /** In how many seconds another try is of use, where the server says so. */
  readonly retryAfterS: number | undefined;

  constructor(status: number, body: unknown, retryAfter?: string | null) {
    const problem = isRecord(body) ? body : {};
    const text = (name: string) => (typeof problem[name] === "string" ? (problem[name] as string) : undefined);
    const detail = text("detail") ?? text("title") ?? `the server answered ${status}`;
    super(detail);
    this.name = "ApiError";
    this.status = status;
    this.code = text("code") ?? "unknown_answer";
    this.detail = detail;
    this.hint = text("hint");
    this.requestId = text("request_id");
    this.details = isRecord(problem.details) ? problem.details : {};
    this.retryAfterS = /^\d{1,6}$/.test(retryAfter ?? "") ? Number(retryAfter) : undefined;
  }

  /** Whether the session is over, so that only logging in helps. */
  get isLoggedOut(): boolean {
    return this.status === 401 && this.code === "authentication_required";
  }
}

/** The error of a request that got no answer. */
export function unreachable(): ApiError {
  return new ApiError(0, {
    code: "unreachable",
    detail: "the server did not answer",
    hint: "Check that it is running and that you are connected; then try again.",
  });
}

/** Whatever was thrown, as something that can be shown. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const detail = error instanceof Error ? error.message : String(error);
  return new ApiError(0, { code: "console_error", detail, hint: "Reload the page. If it stays, report it." });
}

/** The server's words are factual and lower-case; as a sentence of a page they begin with a capital. */
export function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
