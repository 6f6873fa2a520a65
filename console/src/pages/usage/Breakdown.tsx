import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { usd } from "@/format/money";
import { compact, count } from "@/format/number";
import { tokensOf } from "@/format/tokens";
import { Button } from "@/ui/Button";
import { Credits } from "@/ui/Credits";
import { cx } from "@/ui/cx";
import { ErrorState } from "@/ui/ErrorNote";
import { SkeletonRows } from "@/ui/Skeleton";
import { Cell, Table } from "@/ui/Table";
import { type Dimension, inText, keyOf, nameOf } from "./dimensions";
import type { Period } from "./period";
import { type Group, type Only, platformCost, summaryQuery } from "./queries";
import { useUsageScope } from "./scope";

const FEW = 8;

/** The costliest models, keys or people. A name leads to its calls. */
export function Breakdown({
  dimension,
  period,
  only,
  onOnly,
}: {
  dimension: Dimension;
  period: Period;
  only: Only;
  onOnly: (only: Only) => void;
}) {
  const scope = useUsageScope();
  const by = inText(dimension);
  const [all, setAll] = useState(false);
  const summary = useQuery(summaryQuery(scope, period, dimension.groupBy, only));
  if (summary.isPending) return <SkeletonRows rows={3} label={`Loading the calls by ${by}`} />;
  if (summary.isLoadingError) return <ErrorState error={summary.error} retry={() => summary.refetch()} />;
  const groups = summary.data.groups;
  const shown = all ? groups : groups.slice(0, FEW);
  const cost = (group: Group) => group.own_key_cost_nano_usd + group.charge_nano_usd;
  const most = Math.max(...groups.map(cost), 0);
  return (
    <div className="flex flex-col gap-2">
      <Table
        label={`Calls by ${by}`}
        head={[
          dimension.name,
          { numeric: "Calls" },
          { numeric: "Failed" },
          { numeric: "Tokens" },
          { numeric: "Own keys, list price" },
          ...(scope.platformCost ? [{ numeric: "Platform keys, list price" }] : []),
          { numeric: "Charged" },
        ]}
      >
        {shown.map((group) => {
          const chosen = dimension.ident(group) ? dimension.only(group) : undefined;
          return (
            <tr key={keyOf(dimension, group)}>
              <Cell className="min-w-48">
                {chosen ? (
                  <button
                    type="button"
                    className="text-left font-medium break-all underline-offset-2 hover:underline"
                    onClick={() => onOnly(chosen)}
                    title="Show its calls alone"
                  >
                    {nameOf(dimension, group)}
                  </button>
                ) : (
                  <span className={cx("break-all", dimension.ident(group) ? "font-medium" : "text-soft")}>
                    {nameOf(dimension, group)}
                  </span>
                )}
                <span aria-hidden="true" className="mt-1.5 flex h-1 overflow-hidden rounded-full bg-hover">
                  <span
                    className="bg-accent"
                    style={{ width: `${most === 0 ? 0 : (group.own_key_cost_nano_usd / most) * 100}%` }}
                  />
                  <span
                    className="bg-line-strong"
                    style={{ width: `${most === 0 ? 0 : (group.charge_nano_usd / most) * 100}%` }}
                  />
                </span>
              </Cell>
              <Cell numeric>{count(group.calls)}</Cell>
              <Cell numeric>{count(group.failed)}</Cell>
              <Cell numeric>{compact(tokensOf(group))}</Cell>
              <Cell numeric>{usd(group.own_key_cost_nano_usd)}</Cell>
              {scope.platformCost && <Cell numeric>{usd(platformCost(group))}</Cell>}
              <Cell numeric>
                <Credits nanoUsd={group.charge_nano_usd} />
              </Cell>
            </tr>
          );
        })}
      </Table>
      {groups.length > FEW && (
        <div>
          <Button size="small" look="quiet" onClick={() => setAll(!all)}>
            {all ? `Show the first ${FEW}` : `Show all ${count(groups.length)}`}
          </Button>
        </div>
      )}
      {summary.data.truncated && (
        <p className="text-xs text-soft">There are more than these {count(groups.length)}. Choose fewer days.</p>
      )}
    </div>
  );
}
