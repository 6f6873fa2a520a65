import { TriangleAlert } from "lucide-react";
import { type ApiError, asApiError, sentence } from "@/api/error";
import { milliseconds } from "@/format/number";
import { Button } from "./Button";

/** A refusal where it happened: what happened, what to do, and the code to search for. */
export function ErrorNote({
  error,
  title,
  hint,
}: {
  error: unknown;
  title?: string;
  /** What to do, in the place of the server's hint. */
  hint?: string;
}) {
  const shown = asApiError(error);
  const advice = hint ?? shown.hint;
  return (
    <div role="alert" className="flex gap-2.5 rounded-md bg-bad-soft px-3 py-2.5 text-sm text-text">
      <TriangleAlert aria-hidden="true" size={16} className="mt-0.5 shrink-0 text-bad" />
      <div className="min-w-0">
        <p className="font-medium text-bad">{title ?? sentence(shown.detail)}</p>
        {title && <p>{sentence(shown.detail)}</p>}
        {advice && <p>{sentence(advice)}</p>}
        <Theirs error={shown} />
        <Again error={shown} />
        <Reference error={shown} />
      </div>
    </div>
  );
}

/** Where somebody else was faster: what they set, by its name in the API. */
function Theirs({ error: { details } }: { error: ApiError }) {
  if (!Array.isArray(details.theirs)) return null;
  return (
    <ul aria-label="As it is now" className="mt-1 flex flex-col gap-0.5">
      {(details.theirs as { field: string; value: unknown }[]).map(({ field, value }) => (
        <li key={field} className="break-words">
          <code className="font-mono text-xs">{field}</code> is now{" "}
          <code className="font-mono text-xs break-all">{value === null ? "not set" : JSON.stringify(value)}</code>
        </li>
      ))}
    </ul>
  );
}

/** Stands in the place of what could not be loaded. */
export function ErrorState({ error, retry }: { error: unknown; retry?: () => void }) {
  const shown = asApiError(error);
  return (
    <div role="alert" className="flex flex-col items-center gap-2 rounded-lg border border-line px-6 py-12 text-center">
      <TriangleAlert aria-hidden="true" size={20} className="text-bad" />
      <p className="font-medium">{sentence(shown.detail)}</p>
      {shown.hint && <p className="max-w-md text-soft">{sentence(shown.hint)}</p>}
      <Again error={shown} />
      <Reference error={shown} />
      {retry && (
        <Button className="mt-2" onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** The server says by a header when to come back, which nobody sees in a browser. */
function Again({ error: { retryAfterS } }: { error: ApiError }) {
  if (!retryAfterS) return null;
  return <p>You can try again in {milliseconds(retryAfterS * 1000)}.</p>;
}

function Reference({ error }: { error: ApiError }) {
  return (
    <p className="mt-1 font-mono text-xs break-all text-soft">
      {error.code}
      {error.requestId && ` · ${error.requestId}`}
    </p>
  );
}
