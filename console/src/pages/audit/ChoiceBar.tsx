import { DayFields } from "@/ui/DayFields";
import { Field, TextField } from "@/ui/Field";
import { Select } from "@/ui/Select";
import { OUTCOMES } from "./AuditTable";
import { type Choice, type Names, SORTS } from "./choice";
import type { Row, Source } from "./queries";

const ALL = { value: "", label: "All" };
const OUTCOME_OPTIONS = [ALL, ...Object.entries(OUTCOMES).map(([value, label]) => ({ value, label }))];

/** What a log is cut down to. */
export function ChoiceBar({
  kind,
  newest,
  names,
  choice,
  change,
}: {
  kind: Source["kind"];
  /** The newest entries, whatever is chosen: their actions and actors are offered. */
  newest: Row[];
  names: Names;
  choice: Choice;
  change: (patch: Choice) => void;
}) {
  const chosen = choice.action ? [choice.action] : [];
  const seen = newest.map(({ action }) => action);
  const actions = [...new Set([...SORTS[kind], ...seen, ...chosen])].sort();
  const actors = new Set(newest.flatMap(({ actor }) => actor ?? []));
  // Where the instance hides who acts, nobody is offered, and the server refuses to look for somebody.
  if (actors.size > 0) for (const id of names.keys()) if (/^(usr|ak)_/.test(id)) actors.add(id);
  if (choice.actor) actors.add(choice.actor);
  return (
    <div className="grid grid-cols-2 gap-3 lg:grid-cols-3">
      <Field label="Action">
        {(control) => (
          <Select
            control={control}
            value={choice.action ?? ""}
            onChange={(action) => change({ action })}
            options={[
              ALL,
              ...actions.map((value) => ({ value, label: value.includes(".") ? value : `${value}: all` })),
            ]}
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
      {actors.size > 0 && (
        <Field label="Who" className="col-span-2 lg:col-span-1">
          {(control) => (
            <Select
              control={control}
              value={choice.actor ?? ""}
              onChange={(actor) => change({ actor })}
              options={[
                { value: "", label: "Everybody" },
                ...[...actors].map((value) => ({ value, label: names.get(value) ?? value })),
              ]}
            />
          )}
        </Field>
      )}
      <DayFields days={choice} change={change} />
      <TextField
        className="col-span-2 lg:col-span-1"
        label="Person, key, id or request"
        type="search"
        value={choice.text ?? ""}
        onChange={(event) => change({ text: event.target.value })}
      />
    </div>
  );
}
