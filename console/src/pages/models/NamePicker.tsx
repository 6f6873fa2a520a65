import { Combobox as Base } from "@base-ui/react/combobox";
import { Check, ChevronDown, Lock } from "lucide-react";
import { useMemo, useState } from "react";
import { cx } from "@/ui/cx";
import { type ControlProps, inputClass } from "@/ui/Field";
import { floating } from "@/ui/Menu";

export interface Entry {
  value: string;
  label: string;
  detail: string;
  locked?: boolean;
}

export interface Group {
  value: string;
  items: Entry[];
}

/** A choice of the name of a model out of groups, or another name as it is typed. */
export function NamePicker({
  value,
  onChange,
  groups,
  anyName,
  control,
  label,
  disabled,
}: {
  value: string;
  onChange: (value: string) => void;
  /** The same array from one rendering to the next, as long as it says the same. */
  groups: Group[];
  /** Takes every name that is typed; else those of the form `provider/model`. */
  anyName?: boolean;
  control?: ControlProps;
  label?: string;
  disabled?: boolean;
}) {
  const [query, setQuery] = useState("");
  // One that is chosen, and one that is being typed.
  const typed = query.trim();
  const shown = useMemo(() => {
    const known = groups.flatMap(({ items }) => items);
    const named = [...new Set([value, typed])].filter(
      (name) =>
        name !== "" &&
        (anyName || name.includes("/")) &&
        !known.some((entry) => entry.value === name || entry.label === name),
    );
    const items: Entry[] = named.map((name) => ({ value: name, label: name, detail: "not listed" }));
    const ordered = exactFirst(groups, typed);
    return items.length > 0 ? [...ordered, { value: "By its name", items }] : ordered;
  }, [groups, value, typed, anyName]);
  // The same object as long as the choice is the same, or what is being typed would be taken back.
  const name = shown.flatMap(({ items }) => items).find((entry) => entry.value === value)?.label;
  const chosen = useMemo(() => (name === undefined ? null : { value, label: name, detail: "" }), [value, name]);
  return (
    <Base.Root
      items={shown}
      value={chosen}
      disabled={disabled}
      // Enter takes the first match; without, it would put back what was chosen before.
      autoHighlight
      isItemEqualToValue={(one: Entry, other: Entry) => one.value === other.value}
      onInputValueChange={setQuery}
      onValueChange={(next: Entry | null) => next && onChange(next.value)}
      onOpenChange={(open, { reason }) => {
        if (open || reason === "item-press" || reason === "escape-key") return;
        // The field was left with a name written out: that is a choice, too.
        const written = shown.flatMap(({ items }) => items).find((entry) => !entry.locked && isCalled(entry, typed));
        if (written && written.value !== value) onChange(written.value);
      }}
    >
      <div className="relative">
        <Base.Input
          {...control}
          aria-label={label}
          placeholder={anyName ? "Choose, or type a name" : "Choose, or type provider/model"}
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
              No listed model is called like that.{!anyName && " Type provider/model for another."}
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

const isCalled = ({ label }: { label: string }, name: string) => label.toLowerCase() === name.toLowerCase();

/** What is called just like what was typed stands in front of what begins or ends like it: Enter takes the first. */
export function exactFirst(groups: Group[], typed: string): Group[] {
  const group = groups.find(({ items }) => items.some((item) => isCalled(item, typed)));
  if (!group) return groups;
  const items = [
    ...group.items.filter((item) => isCalled(item, typed)),
    ...group.items.filter((item) => !isCalled(item, typed)),
  ];
  return [{ ...group, items }, ...groups.filter((other) => other !== group)];
}
