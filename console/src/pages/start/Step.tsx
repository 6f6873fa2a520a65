import { Check } from "lucide-react";
import type { ReactNode } from "react";
import { cx } from "@/ui/cx";

/** One step of the guide, with a mark once it is done. */
export function Step({
  number,
  title,
  done,
  last,
  children,
}: {
  number: number;
  title: string;
  done: boolean;
  last?: boolean;
  children: ReactNode;
}) {
  return (
    <li className="flex gap-3 sm:gap-4">
      <div aria-hidden="true" className="flex flex-col items-center">
        <span
          className={cx(
            "flex size-7 shrink-0 items-center justify-center rounded-full text-sm font-semibold",
            done ? "bg-ok-soft text-ok" : "bg-accent-soft text-accent-text",
          )}
        >
          {done ? <Check size={16} strokeWidth={2.5} /> : number}
        </span>
        {!last && <span className="my-1 w-px flex-1 bg-line" />}
      </div>
      <section className="min-w-0 flex-1 pb-8">
        <h2 className="mb-3 pt-1 text-sm font-semibold">
          {title}
          {done && <span className="sr-only"> (done)</span>}
        </h2>
        {children}
      </section>
    </li>
  );
}
