import { Combobox as Base } from "@base-ui/react/combobox";
import { Check, ChevronDown, Lock } from "lucide-react";
import { useMemo, useState } from "react";
import { cx } from "@/ui/cx";
import { type ControlProps, inputClass } from "@/ui/Field";
import { floating } from "@/ui/Menu";
import { type Model, type Models, served, TIERS } from "./models";

export interface Entry {
  value: string;
  label: string;
  detail: string;
  locked?: boolean;
}

const NOTHING: Entry[] = [];

interface Group {
  value: string;
  items: Entry[];
}

/**
 * A choice of a model: what stands before all others, tiers, the models that own keys serve, those that credits pay for,
 * and the rest. Another name of the form `provider/model` is taken as it is typed.
 */
export function ModelPicker({
  value,
  onChange,
  models,
  first = NOTHING,
  tiers,
  onlyServed,
  control,
  label,
  disabled,
}: {
  value: string;
  onChange: (value: string) => void;
  models: Models;
  /** Choices in front of all models; the same array from one rendering to the next. */
  first?: Entry[];
  /** Whether tiers can be chosen. */
  tiers?: boolean;
  /** Leaves out what would be refused. */
  onlyServed?: boolean;
  control?: ControlProps;
  label?: string;
  disabled?: boolean;
}) {
  const [query, setQuery] = useState("");
  const listed = useMemo(
    () => groupsOf(models, first, tiers === true, onlyServed === true),
    [models, first, tiers, onlyServed],
  );
  // One that is chosen, and one that is being typed.
  const typed = query.trim();
  const groups = useMemo(() => {
    const known = listed.flatMap(({ items }) => items);
    const named = [...new Set([value, typed])].filter(
      (name) => name.includes("/") && !known.some((entry) => entry.value === name || entry.label === name),
    );
    const items = named.map((name) => ({ value: name, label: name, detail: "not listed" }));
    return items.length > 0 ? [...listed, { value: "By its name", items }] : listed;
  }, [listed, value, typed]);
  // The same object as long as the choice is the same, or what is being typed would be taken back.
  const name = groups.flatMap(({ items }) => items).find((entry) => entry.value === value)?.label;
  const chosen = useMemo(() => (name === undefined ? null : { value, label: name, detail: "" }), [value, name]);
  return (
    <Base.Root
      items={groups}
      value={chosen}
      disabled={disabled}
      isItemEqualToValue={(one: Entry, other: Entry) => one.value === other.value}
      onInputValueChange={setQuery}
      onValueChange={(next: Entry | null) => next && onChange(next.value)}
    >
      <div className="relative">
        <Base.Input
          {...control}
          aria-label={label}
          placeholder="Choose, or type provider/model"
          className={cx(inputClass, "pr-9")}
        />
        <Base.Trigger
          aria-label={label ? `Show all for ${label}` : "Show all models"}
          className="absolute inset-y-0 right-0 flex w-9 items-center justify-center text-soft"
        >
          <ChevronDown size={16} />
        </Base.Trigger>
      </div>
      <Base.Portal>
        <Base.Positioner sideOffset={4} className="z-50">
          <Base.Popup className={cx(floating, "max-h-80 w-(--anchor-width) min-w-72 overflow-y-auto")}>
            <Base.Empty className="px-2 py-1.5 text-sm text-soft empty:hidden">
              No listed model is called like that. Type provider/model for another.
            </Base.Empty>
            <Base.List>
              {(group: Group) => (
                <Base.Group key={group.value} items={group.items} className="pb-1">
                  <Base.GroupLabel className="px-2 pt-2 pb-1 text-xs font-medium text-soft">
                    {group.value}
                  </Base.GroupLabel>
                  <Base.Collection>
                    {(entry: Entry) => (
                      <Base.Item
                        key={entry.value}
                        value={entry}
                        disabled={entry.locked}
                        className="flex cursor-default items-center gap-2 rounded-md px-2 py-1.5 text-sm outline-none select-none data-disabled:text-soft data-highlighted:bg-hover"
                      >
                        <span className="size-4 shrink-0">
                          {entry.locked ? (
                            <Lock aria-hidden="true" size={14} />
                          ) : (
                            <Base.ItemIndicator>
                              <Check size={16} />
                            </Base.ItemIndicator>
                          )}
                        </span>
                        <span className="min-w-0 flex-1 break-words">{entry.label}</span>
                        <span className="max-w-40 shrink-0 truncate text-xs text-soft">{entry.detail}</span>
                      </Base.Item>
                    )}
                  </Base.Collection>
                </Base.Group>
              )}
            </Base.List>
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}

function groupsOf(models: Models, first: Entry[], tiers: boolean, onlyServed: boolean): Group[] {
  const entry = (model: Model): Entry => ({
    value: model.id,
    label: model.id,
    detail: served(model).word.toLowerCase(),
  });
  const of = (which: (model: Model) => boolean) => models.models.filter(which).map(entry);
  const tierEntries: Entry[] = models.tiers
    .filter(({ tier, locked, refusal }) => tier !== "embeddings" && (locked || !onlyServed || refusal === null))
    .map(({ tier, locked, plans, model }) => ({
      value: tier,
      label: TIERS[tier].name,
      detail: locked ? `needs ${plans.join(" or ") || "another plan"}` : (model ?? "no model"),
      locked,
    }));
  return [
    { value: "Left open", items: first },
    { value: "Tiers", items: tiers ? tierEntries : [] },
    { value: "My models", items: of(({ mine }) => mine) },
    { value: "Paid by credits", items: of((model) => !model.mine && model.key_source === "managed") },
    { value: "Refused as things stand", items: onlyServed ? [] : of((model) => !model.mine && !model.key_source) },
  ].filter(({ items }) => items.length > 0);
}
