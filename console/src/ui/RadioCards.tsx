import { Radio } from "@base-ui/react/radio";
import { RadioGroup } from "@base-ui/react/radio-group";
import { type ReactNode, useId } from "react";
import { cx } from "./cx";

export interface RadioCard<T extends string> {
  value: T;
  label: string;
  /** A word beside the label, such as a badge. */
  mark?: ReactNode;
  /** It cannot be chosen; the mark says why. */
  disabled?: boolean;
  children: ReactNode;
}

/** A choice of one among few that need explaining: each a card with what it means. */
export function RadioCards<T extends string>({
  label,
  value,
  onChange,
  options,
  disabled,
}: {
  label: string;
  value: T;
  onChange: (value: T) => void;
  options: RadioCard<T>[];
  disabled?: boolean;
}) {
  const id = useId();
  return (
    <RadioGroup
      aria-label={label}
      value={value}
      onValueChange={(next) => onChange(next as T)}
      disabled={disabled}
      className="grid gap-3 md:grid-cols-3"
    >
      {options.map((option) => (
        // biome-ignore lint/a11y/noLabelWithoutControl: the radio inside is one; the label lets the whole card be clicked
        <label
          key={option.value}
          className={cx(
            "flex gap-3 rounded-lg border p-4",
            option.value === value ? "border-accent bg-accent-soft" : "border-line bg-surface",
            !disabled && !option.disabled && option.value !== value && "cursor-pointer hover:bg-hover",
          )}
        >
          <Radio.Root
            value={option.value}
            disabled={option.disabled}
            aria-labelledby={`${id}-${option.value}`}
            aria-describedby={`${id}-${option.value}-detail`}
            className="mt-0.5 flex size-4 shrink-0 items-center justify-center rounded-full border border-line-strong bg-surface data-checked:border-accent data-checked:bg-accent"
          >
            <Radio.Indicator className="size-1.5 rounded-full bg-on-accent" />
          </Radio.Root>
          <span className="min-w-0 flex-1">
            <span className="flex flex-wrap items-center gap-2">
              <span id={`${id}-${option.value}`} className="font-medium">
                {option.label}
              </span>
              {option.mark}
            </span>
            <span id={`${id}-${option.value}-detail`} className="mt-1 block text-soft">
              {option.children}
            </span>
          </span>
        </label>
      ))}
    </RadioGroup>
  );
}
