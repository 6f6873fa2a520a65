import { Menu as Base } from "@base-ui/react/menu";
import { Ellipsis } from "lucide-react";
import type { ReactElement, ReactNode } from "react";
import { buttonClass } from "./Button";
import { cx } from "./cx";

export const floating = cx(
  "z-50 rounded-lg border border-line bg-surface p-1 shadow-float outline-none",
  "transition-opacity duration-100 data-ending-style:opacity-0 data-starting-style:opacity-0",
);
const item = cx(
  "flex min-h-8 cursor-default items-center gap-2 rounded-md px-2 py-1.5 text-sm outline-none select-none",
  "data-disabled:opacity-50 data-highlighted:bg-hover",
);

/** A menu of actions behind a button; without a trigger, behind three dots that are called `label`. */
export function Menu({
  label,
  trigger,
  children,
  align = "end",
  side = "bottom",
}: {
  label: string;
  trigger?: ReactElement;
  children: ReactNode;
  align?: "start" | "end";
  side?: "top" | "bottom";
}) {
  return (
    <Base.Root>
      {trigger ? (
        <Base.Trigger render={trigger} aria-label={label} />
      ) : (
        <Base.Trigger aria-label={label} title={label} className={cx(buttonClass("quiet"), "size-8 px-0")}>
          <Ellipsis size={16} />
        </Base.Trigger>
      )}
      <Base.Portal>
        <Base.Positioner sideOffset={4} align={align} side={side} className="z-50">
          <Base.Popup className={cx(floating, "min-w-48")}>{children}</Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}

export function MenuItem({
  onClick,
  danger,
  disabled,
  children,
}: {
  onClick: () => void;
  danger?: boolean;
  disabled?: boolean;
  children: ReactNode;
}) {
  return (
    <Base.Item onClick={onClick} disabled={disabled} className={cx(item, danger && "text-bad")}>
      {children}
    </Base.Item>
  );
}

/** An entry that leads somewhere; `render` is the link. */
export function MenuLink({ render, children }: { render: ReactElement; children: ReactNode }) {
  return (
    <Base.Item render={render} className={cx(item, "text-text no-underline")}>
      {children}
    </Base.Item>
  );
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return <div className="px-2 py-1.5 text-xs text-soft">{children}</div>;
}

export function MenuSeparator() {
  return <Base.Separator className="my-1 h-px bg-line" />;
}
