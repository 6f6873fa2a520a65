import { Select as Base } from "@base-ui/react/select";
import { Check, ChevronDown } from "lucide-react";
import { cx } from "./cx";
import { type ControlProps, inputClass } from "./Field";
import { floating } from "./Menu";

export interface Option<T extends string> {
  value: T;
  label: string;
  /** A second line, for what the word alone does not say. */
  detail?: string;
  disabled?: boolean;
}

/** A choice of one among few. */
export function Select<T extends string>({
  value,
  onChange,
  options,
  label,
  control,
  disabled,
}: {
  value: T;
  onChange: (value: T) => void;
  options: Option<T>[];
  /** Its name, where no visible label is bound by `control`. */
  label?: string;
  control?: ControlProps;
  disabled?: boolean;
}) {
  return (
    <Base.Root
      items={options}
      value={value}
      disabled={disabled}
      onValueChange={(next) => next !== null && onChange(next as T)}
    >
      <Base.Trigger
        {...control}
        aria-label={label}
        className={cx(inputClass, "flex items-center justify-between gap-2 text-left")}
      >
        <span className="truncate">
          <Base.Value />
        </span>
        <Base.Icon className="text-soft">
          <ChevronDown size={16} />
        </Base.Icon>
      </Base.Trigger>
      <Base.Portal>
        <Base.Positioner sideOffset={4} alignItemWithTrigger={false} className="z-50">
          <Base.Popup className={cx(floating, "max-h-80 min-w-(--anchor-width) overflow-y-auto")}>
            {options.map((option) => (
              <Base.Item
                key={option.value}
                value={option.value}
                disabled={option.disabled}
                className="flex cursor-default items-start gap-2 rounded-md px-2 py-1.5 text-sm outline-none select-none data-disabled:opacity-50 data-highlighted:bg-hover"
              >
                <span className="mt-0.5 size-4 shrink-0">
                  <Base.ItemIndicator>
                    <Check size={16} />
                  </Base.ItemIndicator>
                </span>
                <span className="min-w-0">
                  <Base.ItemText>{option.label}</Base.ItemText>
                  {option.detail && <span className="block max-w-72 text-xs text-soft">{option.detail}</span>}
                </span>
              </Base.Item>
            ))}
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}
