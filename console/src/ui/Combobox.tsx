import { Combobox as Base } from "@base-ui/react/combobox";
import { Check, ChevronDown } from "lucide-react";
import { useRef } from "react";
import { cx } from "./cx";
import { type ControlProps, inputClass } from "./Field";
import { floating } from "./Menu";
import type { Option } from "./Select";

/** A choice of one among many, found by typing. */
export function Combobox({
  value,
  onChange,
  options,
  control,
  placeholder,
  empty,
}: {
  value: string | null;
  onChange: (value: string) => void;
  options: Option<string>[];
  control?: ControlProps;
  placeholder?: string;
  /** What to say when nothing is called like what was typed. */
  empty: string;
}) {
  const typed = useRef("");
  const chosen = options.find((option) => option.value === value) ?? null;
  return (
    <Base.Root
      items={options}
      value={chosen}
      // Enter takes the first match; without, it would put back what was chosen before, or submit the form.
      autoHighlight
      onValueChange={(next: Option<string> | null) => next && onChange(next.value)}
      onInputValueChange={(text) => {
        typed.current = text.trim().toLowerCase();
      }}
      onOpenChange={(open, { reason }) => {
        if (open || reason === "item-press" || reason === "escape-key") return;
        // The field was left with a label written out: that is a choice, too.
        const written = options.find(({ label }) => label.toLowerCase() === typed.current);
        if (written && written.value !== value) onChange(written.value);
      }}
    >
      <div className="relative">
        <Base.Input {...control} placeholder={placeholder} className={cx(inputClass, "pr-9")} />
        <Base.Trigger
          aria-label="Show all"
          className="absolute inset-y-0 right-0 flex w-9 items-center justify-center text-soft"
        >
          <ChevronDown size={16} />
        </Base.Trigger>
      </div>
      <Base.Portal>
        <Base.Positioner sideOffset={4} className="z-50">
          <Base.Popup className={cx(floating, "max-h-72 w-(--anchor-width) overflow-y-auto")}>
            <Base.Empty className="px-2 py-1.5 text-sm text-soft empty:hidden">{empty}</Base.Empty>
            <Base.List>
              {(option: Option<string>) => (
                <Base.Item
                  key={option.value}
                  value={option}
                  className="flex cursor-default items-center gap-2 rounded-md px-2 py-1.5 text-sm outline-none select-none data-highlighted:bg-hover"
                >
                  <span className="size-4 shrink-0">
                    <Base.ItemIndicator>
                      <Check size={16} />
                    </Base.ItemIndicator>
                  </span>
                  <span className="min-w-0 flex-1 truncate">{option.label}</span>
                  {option.detail && <span className="font-mono text-xs text-soft">{option.detail}</span>}
                </Base.Item>
              )}
            </Base.List>
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}
