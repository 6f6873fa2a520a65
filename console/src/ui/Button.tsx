import type { ComponentProps, MouseEvent } from "react";
import { cx } from "./cx";
import { Spinner } from "./Spinner";

const LOOKS = {
  primary: "bg-accent text-on-accent hover:bg-accent-hover border-transparent font-medium",
  secondary: "bg-surface text-text hover:bg-hover border-line font-medium",
  quiet: "bg-transparent text-soft hover:bg-hover hover:text-text border-transparent",
  danger: "bg-surface text-bad hover:bg-bad-soft border-line font-medium",
  "danger-solid": "bg-bad-solid text-canvas hover:opacity-90 border-transparent font-medium",
};

const SIZES = { small: "h-7 px-2 gap-1 text-xs", medium: "h-8 px-3 gap-1.5 text-sm", large: "h-10 px-4 gap-2 text-sm" };

interface ButtonProps extends ComponentProps<"button"> {
  look?: keyof typeof LOOKS;
  size?: keyof typeof SIZES;
  /** Work is under way: the button takes no clicks and says so. */
  busy?: boolean;
}

/** The look of a button, for links that look like one. */
export function buttonClass(look: keyof typeof LOOKS = "secondary", size: keyof typeof SIZES = "medium"): string {
  return cx(
    "inline-flex shrink-0 items-center justify-center rounded-md border whitespace-nowrap select-none no-underline",
    "transition-colors disabled:cursor-not-allowed disabled:opacity-50 [&_svg]:shrink-0",
    "aria-disabled:cursor-not-allowed aria-disabled:opacity-50",
    LOOKS[look],
    SIZES[size],
  );
}

/**
 * While it is busy it keeps the focus, which a disabled button loses: whoever pressed it by the keyboard is still there
 * when the answer comes. It takes no clicks then, and sends no form.
 */
export function Button({
  look = "secondary",
  size = "medium",
  busy,
  className,
  children,
  onClick,
  ...rest
}: ButtonProps) {
  const click = (event: MouseEvent<HTMLButtonElement>) => {
    if (busy) event.preventDefault();
    else onClick?.(event);
  };
  return (
    <button
      type="button"
      {...rest}
      onClick={click}
      aria-disabled={busy || undefined}
      aria-busy={busy || undefined}
      className={cx(buttonClass(look, size), className)}
    >
      {busy && <Spinner />}
      {children}
    </button>
  );
}

/** A button with a picture alone; `label` is its name. */
export function IconButton({
  label,
  look = "quiet",
  size = "medium",
  className,
  ...rest
}: ButtonProps & { label: string }) {
  const square = { small: "size-7 px-0", medium: "size-8 px-0", large: "size-10 px-0" }[size];
  return (
    <Button {...rest} look={look} size={size} aria-label={label} title={label} className={cx(square, className)} />
  );
}
