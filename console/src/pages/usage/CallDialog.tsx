import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { membersQuery, useWhole } from "@/api/queries";
import { usd } from "@/format/money";
import { bytes, count, milliseconds } from "@/format/number";
import { fullTime } from "@/format/time";
import { apiKeysQuery } from "@/pages/api-keys/queries";
import { useMe, useWorkspace } from "@/shell/workspace";
import { Badge, type Tone } from "@/ui/Badge";
import { CopyButton } from "@/ui/Copy";
import { Credits } from "@/ui/Credits";
import { Dialog } from "@/ui/Dialog";
import { ErrorNote } from "@/ui/ErrorNote";
import { SkeletonRows } from "@/ui/Skeleton";
import { ownKey, Payer } from "./Calls";
import { noCost } from "./outcome";
import { type Call, callQuery } from "./queries";

const PRICING = {
  priced: "",
  estimated:
    ", of tokens that were counted here because the provider told none, or at the price of the standard tier because another one served",
  unpriced: ", of the part that has a known price",
};

/** An attempt that was cancelled did not fail: the one beside it was faster. */
const TONES: Partial<Record<string, Tone>> = { ok: "ok", cancelled: "neutral" };

/** All that usage holds of one call, by the id that stands in the address. */
export function CallDialog({ request, onClose }: { request: string; onClose: () => void }) {
  const workspace = useWorkspace();
  const call = useQuery(callQuery(workspace.id, request));
  const model = call.data?.model ? `${call.data.provider}/${call.data.model}` : call.data?.model_requested;
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title={model || "Request"}
      description="Usage holds neither prompts nor answers."
    >
      {call.isPending ? (
        <SkeletonRows label="Loading the request" />
      ) : call.isLoadingError ? (
        <ErrorNote error={call.error} />
      ) : (
        <Detail call={call.data} />
      )}
    </Dialog>
  );
}

function Detail({ call }: { call: Call }) {
  const { usage } = call;
  const names = useNames(call);
  const cost = call.cost_nano_usd;
  return (
    <>
      <dl className="grid grid-cols-1 gap-x-6 gap-y-3 sm:grid-cols-2">
        <Item name="Request">
          <span className="flex flex-wrap items-center gap-2">
            <code className="font-mono text-xs break-all">{call.request_id}</code>
            <CopyButton text={call.request_id} name="the request's id" />
          </span>
        </Item>
        <Item name="When">{fullTime(call.at)}</Item>
        <Item name="Status">
          <Badge tone={call.status < 400 ? "ok" : "bad"}>{call.status}</Badge>{" "}
          {call.error_code && <code className="font-mono text-xs break-all">{call.error_code}</code>}
        </Item>
        <Item name="Model that was asked for">{call.model_requested}</Item>
        <Item name="Who paid">
          <Payer call={call} />
          {call.fallback && ", after own keys failed"}
        </Item>
        <Item name="Cost at list price">
          {typeof cost === "number" ? `${usd(cost)}${call.pricing ? PRICING[call.pricing] : ""}` : noCost(call)}
        </Item>
        <Item name="Charged">
          <Credits nanoUsd={call.charge_nano_usd} />
          {call.charge_nano_usd !== 0 && `, ${usd(call.charge_nano_usd)}`}
        </Item>
        <Item name="Duration">
          {milliseconds(call.latency_ms)}
          {typeof call.first_byte_ms === "number" && `, first byte after ${milliseconds(call.first_byte_ms)}`}
        </Item>
        <Item name="Tokens">
          {usage
            ? [
                `${count(usage.input_tokens)} in`,
                usage.cached_input_tokens > 0 && `${count(usage.cached_input_tokens)} from the cache`,
                usage.cache_write_tokens > 0 && `${count(usage.cache_write_tokens)} to the cache`,
                `${count(usage.output_tokens)} out`,
                usage.reasoning_tokens > 0 && `${count(usage.reasoning_tokens)} of them reasoning`,
              ]
                .filter(Boolean)
                .join(", ")
            : "none told"}
        </Item>
        <Item name="Bytes">
          {bytes(call.request_bytes)} in, {bytes(call.response_bytes)} out{call.streamed && ", as a stream"}
        </Item>
        <Item name="Format">
          {call.wire_format}, {call.operation}
        </Item>
        <Item name="API key">
          {names.apiKey && `${names.apiKey} `}
          <code className="font-mono text-xs break-all text-soft">{call.api_key_id}</code>
        </Item>
        <Item name="Member">
          {names.member ?? <code className="font-mono text-xs break-all text-soft">{call.user_id}</code>}
        </Item>
      </dl>
      <h3 className="mt-5 mb-2 text-sm font-semibold">Attempts</h3>
      {call.attempts.length === 0 ? (
        <p className="text-soft">No provider was called.</p>
      ) : (
        <ol className="divide-y divide-line rounded-md border border-line">
          {call.attempts.map((attempt, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the attempts of a call that has ended never change
            <li key={index} className="flex flex-wrap items-center gap-x-4 gap-y-1 px-3 py-2.5">
              <Badge tone={TONES[attempt.outcome] ?? "bad"}>{attempt.status ?? "no answer"}</Badge>
              <span className="min-w-0 break-all">
                {attempt.provider}/{attempt.model}
              </span>
              <span className="text-soft">{attempt.key_source === "byok" ? ownKey(attempt) : "Credits"}</span>
              {attempt.outcome !== "ok" && <code className="font-mono text-xs break-all">{attempt.outcome}</code>}
              {typeof attempt.cost_nano_usd === "number" && (
                <span className="text-xs text-soft">its provider may bill {usd(attempt.cost_nano_usd)}</span>
              )}
              <span className="ml-auto text-xs text-soft tabular-nums">{milliseconds(attempt.latency_ms)}</span>
            </li>
          ))}
        </ol>
      )}
    </>
  );
}

/** Names for the ids of a call, as far as they are known. */
function useNames({ api_key_id, user_id }: Call): { apiKey: string | undefined; member: string | undefined } {
  const workspace = useWorkspace();
  const me = useMe();
  const keys = useWhole(useInfiniteQuery(apiKeysQuery(workspace.id)));
  const members = useWhole(useInfiniteQuery(membersQuery(workspace.id)));
  return {
    apiKey: keys?.find(({ id }) => id === api_key_id)?.name,
    member: user_id === me.user.id ? "you" : members?.find((member) => member.user_id === user_id)?.email,
  };
}

function Item({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-xs text-soft">{name}</dt>
      <dd className="mt-0.5 break-words">{children}</dd>
    </div>
  );
}
