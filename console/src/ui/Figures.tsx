import type { ReactNode } from "react";

/** A few numbers side by side, each with what it counts. */
export function Figures({ children }: { children: ReactNode }) {
  return <dl className="flex flex-wrap gap-px overflow-hidden rounded-lg border border-line bg-line">{children}</dl>;
}

export function Figure({ name, value, detail }: { name: string; value: ReactNode; detail?: ReactNode }) {
  return (
    <div className="flex grow basis-52 flex-col gap-0.5 bg-surface px-4 py-3">
      <dt className="text-xs text-soft">{name}</dt>
      <dd className="text-base font-semibold tabular-nums">{value}</dd>
      {detail && <dd className="text-xs text-soft">{detail}</dd>}
    </div>
  );
}
