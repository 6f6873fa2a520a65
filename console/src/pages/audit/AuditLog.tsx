import { useInfiniteQuery } from "@tanstack/react-query";
import { ScrollText, X } from "lucide-react";
import { plural } from "@/format/number";
import { useFilters } from "@/shell/filters";
import { Button } from "@/ui/Button";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorState } from "@/ui/ErrorNote";
import { Field, TextField } from "@/ui/Field";
import { Select } from "@/ui/Select";
import { SkeletonRows } from "@/ui/Skeleton";
import { Pager } from "@/ui/Table";
import { AuditTable, OUTCOMES } from "./AuditTable";
import { CHOICES, type Choice, dayBegins, isChosen, isCut, type Names } from "./choice";
import { auditQuery, type Row, type Source } from "./queries";

const ALL = { value: "", label: "All" };
const OUTCOME_OPTIONS = [ALL, ...Object.entries(OUTCOMES).map(([value, label]) => ({ value, label }))];

/** The log of a workspace, an account or the instance, with what it is cut down to; the choice stands in the address. */
export function AuditLog({ source, names, nothing }: { source: Source; names: Names; nothing: string }) {
  const [choice, change] = useFilters(CHOICES);
  const log = useInfiniteQuery(auditQuery(source));
  if (log.isPending) return <SkeletonRows label="Loading the audit log" />;
  if (log.isLoadingError) return <ErrorState error={log.error} retry={() => log.refetch()} />;
  const all = log.data.pages.flatMap(({ data }) => data);
  const shown = all.filter((row) => isChosen(row, choice, names));
  const cut = isCut(choice);
  const clear = () => change(Object.fromEntries(CHOICES.map((name) => [name, undefined])));
  return (
    <>
      <ChoiceBar rows={all} choice={choice} change={change} />
      {cut && (
        <div className="flex flex-wrap items-center gap-x-4 gap-y-2 text-soft">
          <p role="status">
            {plural(shown.length, "entry", "entries")} of the {plural(all.length, "entry", "entries")} that were loaded.
            {log.hasNextPage && " Older ones were not looked at; show more to look further."}
          </p>
          <Button size="small" look="quiet" onClick={clear}>
            <X aria-hidden="true" size={14} /> Show all
          </Button>
        </div>
      )}
      {shown.length > 0 ? (
        <AuditTable rows={shown} names={names} accountLinks={source.kind === "instance"} />
      ) : (
        <EmptyState icon={ScrollText} title={cut ? "No such entry" : "Nothing was changed yet"}>
          {cut ? "None of the loaded entries is as you chose." : nothing}
        </EmptyState>
      )}
      <Pager more={log.hasNextPage} busy={log.isFetchingNextPage} onMore={() => log.fetchNextPage()} />
    </>
  );
}

function ChoiceBar({ rows, choice, change }: { rows: Row[]; choice: Choice; change: (patch: Choice) => void }) {
  const seen = rows.map(({ action }) => action);
  const actions = [...new Set([...seen, ...(choice.action ? [choice.action] : [])])].sort();
  const backwards = choice.from && choice.to && choice.from > choice.to;
  const wrong = backwards ? "The first day is after the last one." : undefined;
  return (
    <div className="grid grid-cols-2 gap-3 lg:grid-cols-[1fr_1fr_1.5fr_1fr_1fr]">
      <Field label="Action">
        {(control) => (
          <Select
            control={control}
            value={choice.action ?? ""}
            onChange={(action) => change({ action })}
            options={[ALL, ...actions.map((value) => ({ value, label: value }))]}
          />
        )}
      </Field>
      <Field label="Outcome">
        {(control) => (
          <Select
            control={control}
            value={choice.outcome ?? ""}
            onChange={(outcome) => change({ outcome })}
            options={OUTCOME_OPTIONS}
          />
        )}
      </Field>
      <TextField
        className="col-span-2 lg:col-span-1"
        label="Person, key, id or request"
        type="search"
        value={choice.text ?? ""}
        onChange={(event) => change({ text: event.target.value })}
      />
      <TextField
        label="From"
        type="date"
        error={wrong}
        value={dayBegins(choice.from) ? choice.from : ""}
        onChange={(event) => change({ from: event.target.value })}
      />
      <TextField
        label="To"
        type="date"
        value={dayBegins(choice.to) ? choice.to : ""}
        onChange={(event) => change({ to: event.target.value })}
      />
    </div>
  );
}
