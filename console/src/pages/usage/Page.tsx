import { useQuery } from "@tanstack/react-query";
import { ChartNoAxesColumn } from "lucide-react";
import { AdminsOnly } from "@/shell/AdminsOnly";
import { useFilters } from "@/shell/filters";
import { isAtLeast, useWorkspace } from "@/shell/workspace";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorState } from "@/ui/ErrorNote";
import { PageBody, Section } from "@/ui/Page";
import { Select } from "@/ui/Select";
import { Skeleton } from "@/ui/Skeleton";
import { Breakdown } from "./Breakdown";
import { Calls } from "./Calls";
import { DayChart, type Measure } from "./DayChart";
import { DIMENSIONS, inText } from "./dimensions";
import { ExportButton } from "./ExportButton";
import { Figures } from "./Figures";
import { FILTERS, FilterBar, type UsageFilters } from "./FilterBar";
import { chosenDays, lastDays, type Period } from "./period";
import { type Only, summaryQuery } from "./queries";

/** What the workspace's calls came to, and each of them. */
export function Page() {
  const workspace = useWorkspace();
  if (isAtLeast(workspace.role, "admin")) return <Usage />;
  return <AdminsOnly title="Usage" what="Usage tells who called what, and what it cost." />;
}

const MEASURES = [
  { value: "cost", label: "Cost" },
  { value: "calls", label: "Calls" },
  { value: "tokens", label: "Tokens" },
];

function periodOf(filters: UsageFilters): { period: Period; wrong: string | undefined } {
  const fallback = lastDays(30, Date.now());
  if (filters.period === "days") {
    const chosen = chosenDays(filters.from, filters.to);
    return typeof chosen === "string" ? { period: fallback, wrong: chosen } : { period: chosen, wrong: undefined };
  }
  const days = [7, 30, 90, 365].find((known) => String(known) === filters.period) ?? 30;
  return { period: lastDays(days, Date.now()), wrong: undefined };
}

function Usage() {
  const workspace = useWorkspace();
  const [filters, change] = useFilters(FILTERS);
  const { period, wrong } = periodOf(filters);
  const { provider, model, provider_key_id, api_key_id, user_id, key_source, status } = filters;
  const only: Only = clean({ provider, model, provider_key_id, api_key_id, user_id, key_source });
  const summary = useQuery(summaryQuery(workspace.id, period, "day,key_source", only));
  const measure = (MEASURES.find(({ value }) => value === filters.measure)?.value ?? "cost") as Measure;
  const dimension = DIMENSIONS.find(({ id }) => id === filters.by) ?? DIMENSIONS[0];
  const nothing = summary.data?.total.calls === 0;
  return (
    <PageBody
      title="Usage"
      lead="What the calls of this workspace came to. Sums are kept by UTC day; times are in your zone."
      actions={<ExportButton workspace={workspace.id} period={period} only={clean({ ...only, status })} />}
    >
      <FilterBar filters={filters} change={change} period={period} wrong={wrong} />
      {wrong && <p className="text-soft">The last 30 days are shown.</p>}
      {summary.isLoadingError ? (
        <ErrorState error={summary.error} retry={() => summary.refetch()} />
      ) : nothing && Object.keys(only).length === 0 ? (
        <EmptyState icon={ChartNoAxesColumn} title="No calls in these days">
          Calls appear here as soon as a program makes one. Get started has one to copy.
        </EmptyState>
      ) : (
        <>
          <Figures total={summary.data?.total} />
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
              <Skeleton className="h-64 w-full" />
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
                    onChange={(value) => change({ by: value === "model" ? undefined : value })}
                    options={DIMENSIONS.map(({ id, name }) => ({ value: id, label: name }))}
                  />
                </div>
              }
            >
              <Breakdown
                key={dimension.id}
                dimension={dimension}
                period={period}
                only={only}
                onOnly={(next) => change(next)}
              />
            </Section>
          )}
          <Calls period={period} only={only} status={status} onStatus={(value) => change({ status: value })} />
        </>
      )}
    </PageBody>
  );
}

/** Without what is not set. */
function clean<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as T;
}
