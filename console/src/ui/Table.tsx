import type { ReactNode } from "react";
import { Button } from "./Button";
import { cx } from "./cx";

/**
 * A table that scrolls sideways in its own frame where the page is narrow. `relative`, so that what is hidden from sight
 * in it scrolls too and does not make the page wider.
 */
export function Table({ label, head, children }: { label: string; head: ReactNode[]; children: ReactNode }) {
  return (
    <section
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
      tabIndex={0}
      className="relative overflow-x-auto rounded-lg border border-line bg-surface"
    >
      <table className="w-full border-collapse text-left text-sm">
        <thead>
          <tr className="border-b border-line text-xs text-soft">
            {head.map((cell, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: columns never move
              <th key={index} scope="col" className="px-4 py-2.5 font-medium whitespace-nowrap">
                {cell}
              </th>
            ))}
          </tr>
        </thead>
        <tbody className="divide-y divide-line">{children}</tbody>
      </table>
    </section>
  );
}

export function Cell({ children, className }: { children?: ReactNode; className?: string }) {
  return <td className={cx("px-4 py-3 align-middle", className)}>{children}</td>;
}

/** The last cell of a row, with what can be done; it stays in sight while the rest scrolls sideways. */
export function ActionCell({ children }: { children?: ReactNode }) {
  return <td className="sticky right-0 bg-surface px-4 py-3 text-right align-middle">{children}</td>;
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
