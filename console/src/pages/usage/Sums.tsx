import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { ErrorState } from "@/ui/ErrorNote";
import { Section } from "@/ui/Page";
import { Select } from "@/ui/Select";
import { Skeleton } from "@/ui/Skeleton";
import { Breakdown } from "./Breakdown";
import type { Choices } from "./choices";
import { DayChart, type Measure } from "./DayChart";
import { inText } from "./dimensions";
import { Figures } from "./Figures";
import { FilterBar } from "./FilterBar";
import { summaryQuery } from "./queries";
import { useUsageScope } from "./scope";

const MEASURES = [
  { value: "cost", label: "Cost" },
  { value: "calls", label: "Calls" },
  { value: "tokens", label: "Tokens" },
];

/** What the calls came to: in all, by day, and by what tells them apart; above it the choices. `empty` where there is none. */
export function Sums({ choices, empty, children }: { choices: Choices; empty: ReactNode; children?: ReactNode }) {
  const { filters, change, period, wrong, only } = choices;
  const scope = useUsageScope();
  const summary = useQuery(summaryQuery(scope, period, "day,key_source", only));
  const measure = (MEASURES.find(({ value }) => value === filters.measure)?.value ?? "cost") as Measure;
  const first = scope.dimensions[0];
  const dimension = scope.dimensions.find(({ id }) => id === filters.by) ?? first;
  const nothing = summary.data?.total.calls === 0;
  return (
    <>
      <FilterBar choices={choices} />
      {wrong && <p className="text-soft">The last 30 days are shown.</p>}
      {summary.isLoadingError ? (
        <ErrorState error={summary.error} retry={() => summary.refetch()} />
      ) : nothing && Object.keys(only).length === 0 ? (
        empty
      ) : (
        <>
          <Figures total={summary.data?.total} platformCost={scope.platformCost} />
          <Section
            title="By day"
            actions={
              <div className="w-32">
                <Select
                  label="What the bars show"
                  value={measure}
                  onChange={(value) => change({ measure: value === "cost" ? undefined : value })}
                  options={MEASURES}
                />
              </div>
            }
          >
            {summary.data ? (
              <DayChart groups={summary.data.groups} period={period} measure={measure} />
            ) : (
              <Skeleton className="h-80 w-full rounded-lg sm:h-69" />
            )}
          </Section>
          {dimension && !nothing && (
            <Section
              title={`By ${inText(dimension)}`}
              lead="Costliest first. Choose a name to see its calls alone."
              actions={
                <div className="w-36">
                  <Select
                    label="What the table tells apart"
                    value={dimension.id}
                    onChange={(value) => change({ by: value === first?.id ? undefined : value })}
                    options={scope.dimensions.map(({ id, name }) => ({ value: id, label: name }))}
                  />
                </div>
              }
            >
              <Breakdown key={dimension.id} dimension={dimension} period={period} only={only} onOnly={change} />
            </Section>
          )}
          {children}
        </>
      )}
    </>
  );
}
