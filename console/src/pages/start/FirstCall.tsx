import type { Schemas } from "@/api/client";
import { usd } from "@/format/money";
import { count, milliseconds } from "@/format/number";
import { tokensOf } from "@/format/tokens";
import { Badge } from "@/ui/Badge";
import { ErrorNote } from "@/ui/ErrorNote";
import { Card } from "@/ui/Page";
import { Time } from "@/ui/Time";

/** Waits for calls and shows the latest as they come in. */
export function FirstCall({
  latest,
  error,
}: {
  latest: { calls: Schemas["UsageView"][]; answered: boolean } | undefined;
  error: unknown;
}) {
  if (error) return <ErrorNote error={error} />;
  const calls = latest?.calls ?? [];
  return (
    <>
      {!latest?.answered && (
        <p role="status" className="flex items-center gap-2.5 text-soft">
          <span className="relative flex size-2.5 shrink-0" aria-hidden="true">
            <span className="absolute inline-flex size-full animate-ping rounded-full bg-accent opacity-60" />
            <span className="relative inline-flex size-2.5 rounded-full bg-accent" />
          </span>
          {calls.length === 0
            ? "Waiting for the first call. It appears here by itself."
            : "No call was answered yet. Waiting for the first that is."}
        </p>
      )}
      {calls.length > 0 && (
        <Card>
          <ul aria-label="Latest calls" className="divide-y divide-line">
            {calls.map((call) => (
              <Call key={call.request_id} call={call} />
            ))}
          </ul>
        </Card>
      )}
    </>
  );
}

function Call({ call }: { call: Schemas["UsageView"] }) {
  const model = call.model ? `${call.provider}/${call.model}` : call.model_requested;
  const tokens = call.usage ? tokensOf(call.usage) : undefined;
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-1 px-4 py-3">
      <Badge tone={call.status < 400 ? "ok" : "bad"}>{call.status}</Badge>
      {model && <span className="min-w-0 font-medium wrap-anywhere">{model}</span>}
      <span className="text-soft">
        {call.key_source === "byok" && `own key ${call.key_label ?? ""}`}
        {call.key_source === "managed" && "credits"}
        {!call.key_source && (call.error_code ?? "nothing served")}
      </span>
      <span className="ml-auto flex flex-wrap gap-x-4 text-xs text-soft">
        {tokens !== undefined && <span>{count(tokens)} tokens</span>}
        {typeof call.cost_nano_usd === "number" && <span>{usd(call.cost_nano_usd)}</span>}
        <span>{milliseconds(call.latency_ms)}</span>
        <Time at={call.at} />
      </span>
    </li>
  );
}
