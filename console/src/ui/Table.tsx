import type { CSSProperties, ReactNode } from "react";
import { Button } from "./Button";
import { cx } from "./cx";

/** A column by its head; numbers stand below each other. */
type Column = string | { numeric: string };

const nameOf = (column: Column) => (typeof column === "string" ? column : column.numeric);

/**
 * A table that scrolls sideways in its own frame where it is wider than that. On phones each row is a card, with the heads
 * of the columns in front of its cells (`.rows` of styles.css). `relative`, so that what is hidden from sight in it scrolls
 * too and does not make the page wider.
 */
export function Table({
  label,
  head,
  actions,
  children,
}: {
  label: string;
  head: Column[];
  /** Each row ends with an `ActionCell`. */
  actions?: boolean;
  children: ReactNode;
}) {
  const heads = head.map((column, index) => [`--head-${index + 1}`, JSON.stringify(nameOf(column))]);
  return (
    <section
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
      tabIndex={0}
      className="relative overflow-x-auto rounded-lg border border-line bg-surface"
    >
      <table
        className="rows w-full border-collapse text-left text-sm"
        style={Object.fromEntries(heads) as CSSProperties}
      >
        <thead>
          <tr className="border-b border-line text-xs text-soft">
            {head.map((column) => (
              <th
                key={nameOf(column)}
                scope="col"
                className={cx("px-4 py-2.5 font-medium whitespace-nowrap", typeof column !== "string" && "text-right")}
              >
                {nameOf(column)}
              </th>
            ))}
            {actions && (
              <th scope="col">
                <span className="sr-only">Actions</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody className="divide-y divide-line">{children}</tbody>
      </table>
    </section>
  );
}

/** `numeric` where its column is. */
export function Cell({
  children,
  numeric,
  className,
}: {
  children?: ReactNode;
  numeric?: boolean;
  className?: string;
}) {
  return (
    <td className={cx("px-4 py-3 align-middle", numeric && "text-right whitespace-nowrap tabular-nums", className)}>
      {children}
    </td>
  );
}

/** The last cell of a row, with what can be done; it stays in sight while the rest scrolls sideways. */
export function ActionCell({ children }: { children?: ReactNode }) {
  return <td className="actions sticky right-0 bg-surface px-4 py-3 text-right align-middle">{children}</td>;
}

/** The end of a list that comes in parts. */
export function Pager({ more, busy, onMore }: { more: boolean; busy: boolean; onMore: () => void }) {
  if (!more) return null;
  return (
    <div className="flex justify-center">
      <Button busy={busy} onClick={onMore}>
        Show more
      </Button>
    </div>
  );
}
