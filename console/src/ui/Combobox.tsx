import { Combobox as Base } from "@base-ui/react/combobox";
import { Check, ChevronDown, Lock } from "lucide-react";
import { type ReactNode, useMemo, useRef } from "react";
import { cx } from "./cx";
import { type ControlProps, inputClass } from "./Field";
import { floating } from "./Menu";

/** What can be chosen. */
export interface Entry {
  value: string;
  label: string;
  /** What stands behind the label. */
  detail?: ReactNode;
  /** It is shown and cannot be chosen; the detail says why. */
  locked?: boolean;
}

/** Entries under a heading. */
export interface Group {
  value: string;
  items: Entry[];
}

/** A choice of one among many, found by typing. */
export function Combobox({
  value,
  onChange,
  options,
  onType,
  control,
  label,
  placeholder,
  empty,
  disabled,
}: {
  value: string | null;
  onChange: (value: string) => void;
  /** All in groups, or none. */
  options: Entry[] | Group[];
  /** Hears what is typed, if the options depend on it. */
  onType?: (text: string) => void;
  control?: ControlProps;
  /** Its name, where no visible label is bound by `control`. */
  label?: string;
  placeholder?: string;
  /** What to say when nothing is called like what was typed. */
  empty: string;
  disabled?: boolean;
}) {
  const typed = useRef("");
  const entries = options.flatMap((option) => ("items" in option ? option.items : option));
  const name = entries.find((entry) => entry.value === value)?.label;
  // The same object as long as the choice is the same, or what is being typed would be taken back.
  const chosen = useMemo(() => (value === null || name === undefined ? null : { value, label: name }), [value, name]);
  return (
    <Base.Root
      items={options}
      value={chosen}
      disabled={disabled}
      // Enter takes the first match; without, it would put back what was chosen before, or submit the form.
      autoHighlight
      isItemEqualToValue={(one: Entry, other: Entry) => one.value === other.value}
      onValueChange={(next: Entry | null) => next && onChange(next.value)}
      onInputValueChange={(text) => {
        typed.current = text.trim();
        onType?.(text);
      }}
      onOpenChange={(open, { reason }) => {
        if (open || reason === "item-press" || reason === "escape-key") return;
        // The field was left with a label written out: that is a choice, too.
        const written = entries.find((entry) => !entry.locked && isCalled(entry, typed.current));
        if (written && written.value !== value) onChange(written.value);
      }}
    >
      <div className="relative">
        <Base.Input {...control} aria-label={label} placeholder={placeholder} className={cx(inputClass, "pr-9")} />
        <Base.Trigger
          aria-label={label ? `Show all for ${label}` : "Show all"}
          className="absolute inset-y-0 right-0 flex w-9 items-center justify-center text-soft"
        >
          <ChevronDown size={16} />
        </Base.Trigger>
      </div>
      <Base.Portal>
        <Base.Positioner sideOffset={4} className="z-50">
          <Base.Popup className={cx(floating, "flex max-h-80 w-(--anchor-width) min-w-72 flex-col")}>
            <Base.Empty className="px-2 py-1.5 text-sm text-soft empty:hidden">{empty}</Base.Empty>
            {/* The list itself scrolls: the field moves through it by the arrow keys, so it needs no focus of its own. */}
            <Base.List className="min-h-0 overflow-y-auto">
              {(option: Entry | Group) =>
                "items" in option ? (
                  <Base.Group key={option.value} items={option.items} className="pb-1">
                    <Base.GroupLabel className="px-2 pt-2 pb-1 text-xs font-medium text-soft">
                      {option.value}
                    </Base.GroupLabel>
                    <Base.Collection>{(entry: Entry) => <Item key={entry.value} entry={entry} />}</Base.Collection>
                  </Base.Group>
                ) : (
                  <Item key={option.value} entry={option} />
                )
              }
            </Base.List>
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}

function Item({ entry }: { entry: Entry }) {
  return (
    <Base.Item
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
      <span className="min-w-0 flex-1 wrap-anywhere">{entry.label}</span>
      {entry.detail && <span className="max-w-40 shrink-0 truncate text-xs text-soft">{entry.detail}</span>}
    </Base.Item>
  );
}

/** Whether somebody who typed the name meant this one. */
export const isCalled = ({ label }: Entry, name: string) => label.toLowerCase() === name.toLowerCase();
