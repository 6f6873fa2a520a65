import { useInfiniteQuery } from "@tanstack/react-query";
import { ListX } from "lucide-react";
import { usd } from "@/format/money";
import { count, milliseconds } from "@/format/number";
import { tokensOf } from "@/format/tokens";
import { useWorkspace } from "@/shell/workspace";
import { Badge } from "@/ui/Badge";
import { Credits } from "@/ui/Credits";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorState } from "@/ui/ErrorNote";
import { Section } from "@/ui/Page";
import { Select } from "@/ui/Select";
import { SkeletonRows } from "@/ui/Skeleton";
import { Cell, Pager, Table } from "@/ui/Table";
import { Time } from "@/ui/Time";
import { unnamedKey } from "./dimensions";
import { noCost, wasServed } from "./outcome";
import type { Period } from "./period";
import { type Call, callsQuery, type Only } from "./queries";

const ENDS = [
  { value: "", label: "Any ending" },
  { value: "ok", label: "Answered" },
  { value: "failed", label: "Failed" },
  { value: "429", label: "429 alone" },
  { value: "402", label: "402 alone" },
];

/** Each call of the period, newest first. */
export function Calls({
  period,
  only,
  status,
  onStatus,
  onOpen,
}: {
  period: Period;
  only: Only;
  status: string | undefined;
  onStatus: (status: string) => void;
  /** Shows how a call was served. */
  onOpen: (request: string) => void;
}) {
  const workspace = useWorkspace();
  const calls = useInfiniteQuery(callsQuery(workspace.id, period, { ...only, ...(status ? { status } : {}) }));
  const all = calls.data?.pages.flatMap(({ data }) => data) ?? [];
  const known = ENDS.some(({ value }) => value === (status ?? ""));
  const ends = known ? ENDS : [...ENDS, { value: String(status), label: `${status} alone` }];
  return (
    <Section
      title="Requests"
      lead="Newest first, refused and failed ones too. Choose one to see how it was served."
      actions={
        <div className="w-48">
          <Select label="How they ended" value={status ?? ""} onChange={onStatus} options={ends} />
        </div>
      }
    >
      {calls.isPending ? (
        <SkeletonRows label="Loading the requests" />
      ) : calls.isLoadingError ? (
        <ErrorState error={calls.error} retry={() => calls.refetch()} />
      ) : all.length === 0 ? (
        <EmptyState icon={ListX} title="No requests">
          There is none in these days that is as you chose. Choose more days, or all calls.
        </EmptyState>
      ) : (
        <>
          <Table
            label="Requests"
            head={[
              "When",
              "Status",
              "Model",
              "Who paid",
              { numeric: "Tokens" },
              { numeric: "Cost" },
              { numeric: "Duration" },
            ]}
          >
            {all.map((call) => (
              <tr
                key={call.request_id}
                className="cursor-pointer hover:bg-hover"
                // Whoever marks a text to copy it wants no dialog.
                onClick={() => !window.getSelection()?.toString() && onOpen(call.request_id)}
              >
                <Cell>
                  <button
                    type="button"
                    className="text-left underline-offset-2 hover:underline"
                    onClick={(event) => {
                      event.stopPropagation();
                      onOpen(call.request_id);
                    }}
                  >
                    <span className="sr-only">Details of {call.request_id}, </span>
                    <Time at={call.at} exact />
                  </button>
                </Cell>
                <Cell>
                  <Badge tone={call.status < 400 ? "ok" : "bad"} title={call.error_code ?? undefined}>
                    {call.status}
                  </Badge>
                </Cell>
                <Cell className="max-w-72 min-w-40 break-all">
                  {call.model ? `${call.provider}/${call.model}` : call.model_requested}
                  {call.error_code && <span className="block font-mono text-xs text-soft">{call.error_code}</span>}
                </Cell>
                <Cell className="whitespace-nowrap">
                  <Payer call={call} />
                </Cell>
                <Cell numeric>
                  {call.usage ? count(tokensOf(call.usage)) : <span className="text-soft">none told</span>}
                </Cell>
                <Cell numeric>
                  <Cost call={call} />
                </Cell>
                <Cell numeric>{milliseconds(call.latency_ms)}</Cell>
              </tr>
            ))}
          </Table>
          <Pager more={calls.hasNextPage} busy={calls.isFetchingNextPage} onMore={() => calls.fetchNextPage()} />
        </>
      )}
    </Section>
  );
}

/** An own key by its label, or by whose it is where the label is not the viewer's to see. */
export function ownKey({ key_label, key_scope }: Pick<Call, "key_label" | "key_scope">): string {
  if (key_label) return `Own key ${key_label}`;
  return key_scope ? `Own: ${unnamedKey(key_scope)}` : "Own key";
}

export function Payer({ call }: { call: Call }) {
  if (call.key_source && !wasServed(call)) {
    const tried = call.key_source === "byok" ? ownKey(call) : "Credits";
    return <span className="text-soft">nobody; tried: {tried}</span>;
  }
  if (call.key_source === "byok") return <>{ownKey(call)}</>;
  if (call.key_source === "managed") return <>Credits</>;
  return <span className="text-soft">nobody</span>;
}

function Cost({ call }: { call: Call }) {
  if (call.key_source === "managed") return <Credits nanoUsd={call.charge_nano_usd} />;
  if (typeof call.cost_nano_usd !== "number") return <span className="text-soft">{noCost(call)}</span>;
  return (
    <span title="At list price; the provider bills it">
      {usd(call.cost_nano_usd)}
      {call.pricing === "estimated" && <span className="text-soft"> est.</span>}
    </span>
  );
}
