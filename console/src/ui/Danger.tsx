import type { ReactNode } from "react";

/** The part of a page with what cannot be taken back, each with its button. */
export function DangerZone({ children }: { children: ReactNode }) {
  return (
    <section className="flex flex-col gap-3">
      <h2 className="text-sm font-semibold text-bad">Danger zone</h2>
      <ul className="divide-y divide-line rounded-lg border border-bad/50 bg-surface">{children}</ul>
    </section>
  );
}

export function DangerItem({ title, children, action }: { title: string; children: ReactNode; action: ReactNode }) {
  return (
    <li className="flex flex-wrap items-center justify-between gap-x-6 gap-y-3 px-4 py-4">
      <div className="min-w-0 max-w-xl">
        <p className="font-medium">{title}</p>
        <div className="text-soft">{children}</div>
      </div>
      {action}
    </li>
  );
}
