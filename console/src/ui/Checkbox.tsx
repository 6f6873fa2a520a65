import { Checkbox as Base } from "@base-ui/react/checkbox";
import { Check } from "lucide-react";
import { type ReactNode, useId } from "react";
import { cx } from "./cx";

/** Yes or no, as part of a form. */
export function Checkbox({
  checked,
  onChange,
  label,
  detail,
  disabled,
}: {
  checked: boolean;
  onChange: (checked: boolean) => void;
  label: ReactNode;
  detail?: ReactNode;
  disabled?: boolean;
}) {
  const id = useId();
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the box inside is one; the label lets the words be clicked
    <label className={cx("flex items-start gap-2.5", !disabled && "cursor-pointer")}>
      <Base.Root
        checked={checked}
        onCheckedChange={onChange}
        disabled={disabled}
        aria-labelledby={`${id}-label`}
        aria-describedby={detail ? `${id}-detail` : undefined}
        className="mt-0.5 flex size-4 shrink-0 items-center justify-center rounded border border-line-strong bg-surface data-checked:border-accent data-checked:bg-accent data-disabled:opacity-50"
      >
        <Base.Indicator className="text-on-accent">
          <Check size={12} strokeWidth={3} />
        </Base.Indicator>
      </Base.Root>
      <span className="min-w-0">
        <span id={`${id}-label`} className="block text-sm">
          {label}
        </span>
        {detail && (
          <span id={`${id}-detail`} className="block text-xs text-soft">
            {detail}
          </span>
        )}
      </span>
    </label>
  );
}
