import { useQuery } from "@tanstack/react-query";
import { X } from "lucide-react";
import type { Filters } from "@/shell/filters";
import { useWorkspace } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import { Field, inputClass, TextField } from "@/ui/Field";
import { type Option, Select } from "@/ui/Select";
import { DIMENSIONS, type Dimension, nameOf } from "./dimensions";
import type { Period } from "./period";
import { type Only, summaryQuery } from "./queries";

export const FILTERS = [
  "period",
  "from",
  "to",
  "provider",
  "model",
  "provider_key_id",
  "api_key_id",
  "user_id",
  "key_source",
  "status",
  "by",
  "measure",
] as const;
export type UsageFilters = Filters<(typeof FILTERS)[number]>;

export const PERIODS = [
  { value: "7", label: "Last 7 days" },
  { value: "30", label: "Last 30 days" },
  { value: "90", label: "Last 90 days" },
  { value: "365", label: "Last 365 days" },
  { value: "days", label: "Chosen days" },
];

const PAYERS = [
  { value: "", label: "All calls" },
  { value: "byok", label: "Own keys" },
  { value: "managed", label: "Credits" },
];

/** The period and what the page is cut down to. */
export function FilterBar({
  filters,
  change,
  period,
  wrong,
}: {
  filters: UsageFilters;
  change: (patch: UsageFilters) => void;
  period: Period;
  wrong: string | undefined;
}) {
  const chosen = filters.period ?? "30";
  const cut = ["provider", "model", "provider_key_id", "api_key_id", "user_id", "key_source"] as const;
  const anything = cut.some((name) => filters[name]);
  const setPeriod = (value: string) =>
    value === "days"
      ? change({ period: value, ...period })
      : change({ period: value === "30" ? undefined : value, from: undefined, to: undefined });
  return (
    <div className="flex flex-col gap-3">
      <div className="grid grid-cols-2 gap-3 sm:grid-cols-3 lg:grid-cols-6">
        <Field label="Period">
          {(control) => <Select control={control} value={chosen} onChange={setPeriod} options={PERIODS} />}
        </Field>
        <Field label="Who paid">
          {(control) => (
            <Select
              control={control}
              value={filters.key_source ?? ""}
              onChange={(value) => change({ key_source: value })}
              options={PAYERS}
            />
          )}
        </Field>
        {DIMENSIONS.map((dimension) => (
          <OfDimension key={dimension.id} dimension={dimension} filters={filters} period={period} change={change} />
        ))}
      </div>
      {chosen === "days" && (
        <div className="grid grid-cols-2 gap-3 sm:grid-cols-3 lg:grid-cols-6">
          <Field label="First day (UTC)" error={wrong}>
            {(control) => (
              <input
                {...control}
                type="date"
                className={inputClass}
                value={filters.from ?? ""}
                onChange={(event) => change({ from: event.target.value })}
              />
            )}
          </Field>
          <TextField
            label="Last day (UTC)"
            type="date"
            value={filters.to ?? ""}
            onChange={(event) => change({ to: event.target.value })}
          />
        </div>
      )}
      {anything && (
        <div>
          <Button
            size="small"
            look="quiet"
            onClick={() => change(Object.fromEntries(cut.map((name) => [name, undefined])))}
          >
            <X aria-hidden="true" size={14} /> Show all calls
          </Button>
        </div>
      )}
    </div>
  );
}

/** One of those that had calls in the period. */
function OfDimension({
  dimension,
  filters,
  period,
  change,
}: {
  dimension: Dimension;
  filters: UsageFilters;
  period: Period;
  change: (patch: UsageFilters) => void;
}) {
  const workspace = useWorkspace();
  const groups = useQuery(summaryQuery(workspace.id, period, dimension.groupBy)).data?.groups ?? [];
  const none = { value: "", label: "All" };
  const options: (Option<string> & { only?: Only })[] = [none];
  for (const group of groups) {
    const only = dimension.only(group);
    const value = dimension.ident(group);
    if (only && value && !options.some((option) => option.value === value))
      options.push({ value, label: nameOf(dimension, group), only });
  }
  const value = chosenOf(dimension, filters);
  // What the address names and had no call in the period.
  if (value && !options.some((option) => option.value === value)) options.push({ value, label: value });
  const cleared: UsageFilters = {
    model: { model: undefined, provider: undefined },
    provider_key: { provider_key_id: undefined },
    api_key: { api_key_id: undefined },
    member: { user_id: undefined },
  }[dimension.id];
  return (
    <Field label={dimension.name}>
      {(control) => (
        <Select
          control={control}
          value={value}
          options={options}
          onChange={(next) => change({ ...cleared, ...options.find((option) => option.value === next)?.only })}
        />
      )}
    </Field>
  );
}

function chosenOf({ id }: Dimension, filters: UsageFilters): string {
  if (id === "model") return [filters.provider, filters.model].filter(Boolean).join("/");
  return filters[({ provider_key: "provider_key_id", api_key: "api_key_id", member: "user_id" } as const)[id]] ?? "";
}
