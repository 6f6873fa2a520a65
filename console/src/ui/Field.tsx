import { type ComponentProps, type ReactNode, useId } from "react";
import { cx } from "./cx";

export const inputClass = cx(
  "block w-full min-w-0 rounded-md border border-line-strong bg-surface px-3 text-base text-text sm:text-sm",
  "h-9 disabled:opacity-60 aria-invalid:border-bad",
);

interface FieldProps {
  label: string;
  /** Which of several fields with this label it is, for those who do not see in which group it stands. */
  place?: number;
  /** What to know before filling it in. */
  hint?: ReactNode;
  /** What is wrong with what was filled in. */
  error?: string;
  /** Whether it may stay empty. */
  optional?: boolean;
  className?: string;
}

/** A label, a control, its hint and its error, bound to each other for screen readers. */
export function Field({
  label,
  place,
  hint,
  error,
  optional,
  className,
  children,
}: FieldProps & { children: (props: ControlProps) => ReactNode }) {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  return (
    <div className={cx("flex min-w-0 flex-col gap-1.5", className)}>
      <label htmlFor={id} className="text-sm font-medium">
        {label}
        {place !== undefined && <span className="sr-only"> {place}</span>}
        {optional && <span className="font-normal text-soft"> (optional)</span>}
      </label>
      {children({ id, "aria-describedby": described || undefined, "aria-invalid": error ? true : undefined })}
      {error && (
        <p id={`${id}-error`} className="text-sm text-bad">
          {error}
        </p>
      )}
      {hint && (
        <div id={`${id}-hint`} className="text-xs text-soft">
          {hint}
        </div>
      )}
    </div>
  );
}

/** Puts the focus on the first control of a form that says that it is wrong, once that is shown. */
export function focusFault(form: HTMLFormElement): void {
  setTimeout(() => form.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus());
}

export interface ControlProps {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": true | undefined;
}

/** A line of text with its label. */
export function TextField({ label, hint, error, optional, className, ...input }: FieldProps & ComponentProps<"input">) {
  return (
    <Field label={label} hint={hint} error={error} optional={optional} className={className}>
      {(control) => <input {...input} {...control} className={inputClass} />}
    </Field>
  );
}
