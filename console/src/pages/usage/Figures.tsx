import type { ReactNode } from "react";
import { credits, creditsOf } from "@/format/credits";
import { usd } from "@/format/money";
import { compact, count, milliseconds, percent, plural } from "@/format/number";
import { Card } from "@/ui/Page";
import { Skeleton } from "@/ui/Skeleton";
import { platformCost, type Sums } from "./queries";

/** What the calls of the period came to. */
export function Figures({ total, platformCost: told }: { total: Sums | undefined; platformCost: boolean }) {
  if (!total) return <Skeleton className="h-78 w-full rounded-lg sm:h-52 lg:h-33" />;
  const input = total.input_tokens + total.cached_input_tokens + total.cache_write_tokens;
  return (
    <Card>
      <dl className="grid grid-cols-2 gap-x-6 gap-y-5 p-4 sm:grid-cols-3 sm:p-5 lg:grid-cols-5">
        <Figure name="Calls" value={count(total.calls)}>
          {total.failed === 0 ? "none failed" : `${count(total.failed)} failed, ${percent(total.failed / total.calls)}`}
        </Figure>
        <Figure name="Own keys, at list price" value={usd(total.own_key_cost_nano_usd)}>
          {plural(total.own_key_calls, "call")}; providers bill those that they answered
        </Figure>
        <Figure name="Charged in credits" value={credits(creditsOf(total.charge_nano_usd))}>
          {usd(total.charge_nano_usd)}, {plural(total.credit_calls, "call")}
          {told && `; platform keys cost ${usd(platformCost(total))} at list price`}
        </Figure>
        <Figure name="Tokens" value={compact(input + total.output_tokens)}>
          {compact(input)} in, {compact(total.output_tokens)} out
        </Figure>
        <Figure
          name="Mean duration"
          value={typeof total.latency_ms === "number" ? milliseconds(total.latency_ms) : "none yet"}
        >
          {typeof total.first_byte_ms === "number" &&
            `of all calls; of those that were answered, first byte after ${milliseconds(total.first_byte_ms)}`}
        </Figure>
      </dl>
      {total.unpriced > 0 && (
        <p className="border-t border-line px-4 py-2.5 text-xs text-soft sm:px-5">
          {plural(total.unpriced, "call")} {total.unpriced === 1 ? "has" : "have"} no known price, in whole or in part;
          what is not known is in no cost.
        </p>
      )}
    </Card>
  );
}

function Figure({ name, value, children }: { name: string; value: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-xs text-soft">{name}</dt>
      <dd className="mt-1 text-lg leading-6 font-semibold tabular-nums">{value}</dd>
      <dd className="mt-0.5 text-xs text-soft">{children}</dd>
    </div>
  );
}
