import { useQuery } from "@tanstack/react-query";
import { X } from "lucide-react";
import { Button } from "@/ui/Button";
import { Combobox } from "@/ui/Combobox";
import { cx } from "@/ui/cx";
import { Field, inputClass, TextField } from "@/ui/Field";
import { type Option, Select } from "@/ui/Select";
import { type Choices, CUTS, type UsageFilters } from "./choices";
import { type Dimension, nameOf } from "./dimensions";
import { type Only, summaryQuery } from "./queries";
import { useUsageScope } from "./scope";

const PERIODS = [
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
export function FilterBar({ choices }: { choices: Choices }) {
  const { filters, change, period, wrong } = choices;
  const { dimensions } = useUsageScope();
  const columns = cx(
    "grid grid-cols-2 gap-3 sm:grid-cols-3",
    dimensions.length > 4 ? "lg:grid-cols-4" : COLUMNS[dimensions.length],
  );
  const chosen = filters.period ?? "30";
  const setPeriod = (value: string) =>
    value === "days"
      ? change({ period: value, ...period })
      : change({ period: value === "30" ? undefined : value, from: undefined, to: undefined });
  return (
    <div className="flex flex-col gap-3">
      <div className={columns}>
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
        {dimensions.map((dimension) => (
          <OfDimension key={dimension.id} dimension={dimension} choices={choices} />
        ))}
      </div>
      {chosen === "days" && (
        <div className={columns}>
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
      {CUTS.some((name) => filters[name]) && (
        <div>
          <Button
            size="small"
            look="quiet"
            onClick={() => change(Object.fromEntries(CUTS.map((name) => [name, undefined])))}
          >
            <X aria-hidden="true" size={14} /> Show all calls
          </Button>
        </div>
      )}
    </div>
  );
}

/** Whole rows: the period, who paid, and as many dimensions. */
const COLUMNS = ["lg:grid-cols-2", "lg:grid-cols-3", "lg:grid-cols-4", "lg:grid-cols-5", "lg:grid-cols-6"];

/** More than these are found by typing. */
const MANY = 20;

/** One of those that had calls in the period. */
function OfDimension({ dimension, choices }: { dimension: Dimension; choices: Choices }) {
  const scope = useUsageScope();
  const groups = useQuery(summaryQuery(scope, choices.period, dimension.groupBy)).data?.groups ?? [];
  const options: (Option<string> & { only?: Only })[] = [{ value: "", label: "All" }];
  for (const group of groups) {
    const value = dimension.ident(group);
    if (value && !options.some((option) => option.value === value))
      options.push({ value, label: nameOf(dimension, group), only: dimension.only(group) });
  }
  const value = dimension.chosen(choices.only);
  // What the address names and had no call in the period.
  if (value && !options.some((option) => option.value === value)) options.push({ value, label: value });
  const cleared: UsageFilters = Object.fromEntries(dimension.clears.map((name) => [name, undefined]));
  const choose = (next: string) =>
    choices.change({ ...cleared, ...options.find((option) => option.value === next)?.only });
  return (
    <Field label={dimension.name}>
      {(control) =>
        options.length > MANY ? (
          <Combobox
            control={control}
            value={value}
            options={options}
            onChange={choose}
            empty="None is called like that."
          />
        ) : (
          <Select control={control} value={value} options={options} onChange={choose} />
        )
      }
    </Field>
  );
}
