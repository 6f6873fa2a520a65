import { roundUsd, usd } from "@/format/money";
import { compact } from "@/format/number";
import { tokensOf } from "@/format/tokens";
import { Card } from "@/ui/Page";
import { type Series, StackedBars } from "@/ui/StackedBars";
import { buckets, type Period } from "./period";
import type { Group } from "./queries";

export type Measure = "cost" | "calls" | "tokens";

const SERIES: Record<Measure, Series[]> = {
  cost: [
    { name: "Own keys, list price", tone: "accent" },
    { name: "Credits", tone: "grey" },
  ],
  calls: [
    { name: "Own keys", tone: "accent" },
    { name: "Credits", tone: "grey" },
    { name: "Not served", tone: "bad" },
  ],
  tokens: [
    { name: "Own keys", tone: "accent" },
    { name: "Credits", tone: "grey" },
  ],
};

const EMPTY: Record<Measure, string> = {
  cost: "Nothing was paid for in these days",
  calls: "No call in these days",
  tokens: "No tokens in these days",
};

const NAMES: Record<Measure, string> = { cost: "Cost by day", calls: "Calls by day", tokens: "Tokens by day" };

/** What a group by day and payer adds to each series. */
function values(group: Group, measure: Measure): number[] {
  const own = group.key_source === "byok";
  const credits = group.key_source === "managed";
  switch (measure) {
    case "cost":
      return [group.own_key_cost_nano_usd, group.charge_nano_usd];
    case "calls":
      return [own ? group.calls : 0, credits ? group.calls : 0, own || credits ? 0 : group.calls];
    case "tokens":
      return [own ? tokensOf(group) : 0, credits ? tokensOf(group) : 0];
  }
}

/** Own keys beside credits, day by day. */
export function DayChart({ groups, period, measure }: { groups: Group[]; period: Period; measure: Measure }) {
  const series = SERIES[measure];
  const byDay = new Map<string, number[]>();
  for (const group of groups) {
    const day = group.day ?? "";
    const before = byDay.get(day) ?? series.map(() => 0);
    const more = values(group, measure);
    byDay.set(
      day,
      before.map((value, index) => value + (more[index] ?? 0)),
    );
  }
  const bars = buckets(period).map(({ label, tick, days }) => ({
    label,
    tick,
    values: series.map((_, index) => days.reduce((sum, day) => sum + (byDay.get(day)?.[index] ?? 0), 0)),
  }));
  const first = bars[0]?.label.split(" to ")[0];
  const last = bars.at(-1)?.label.split(" to ").at(-1);
  return (
    <Card className="p-4 sm:p-5">
      <StackedBars
        label={NAMES[measure]}
        all={first === last ? `${first}` : `${first} to ${last}`}
        series={series}
        bars={bars}
        format={measure === "cost" ? usd : compact}
        tick={measure === "cost" ? roundUsd : compact}
        whole={measure !== "cost"}
        empty={EMPTY[measure]}
      />
    </Card>
  );
}
