import type { ReactNode } from "react";

/** A few numbers side by side, each with what it counts. */
export function Figures({ children }: { children: ReactNode }) {
  return (
    <dl className="grid grid-cols-1 gap-px overflow-hidden rounded-lg border border-line bg-line sm:grid-cols-2 lg:grid-cols-4">
      {children}
    </dl>
  );
}

export function Figure({ name, value, detail }: { name: string; value: ReactNode; detail?: ReactNode }) {
  return (
    <div className="flex flex-col gap-0.5 bg-surface px-4 py-3">
      <dt className="text-xs text-soft">{name}</dt>
      <dd className="text-base font-semibold tabular-nums">{value}</dd>
      {detail && <dd className="text-xs text-soft">{detail}</dd>}
    </div>
  );
}
