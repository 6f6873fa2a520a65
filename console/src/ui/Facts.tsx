import type { ReactNode } from "react";
import { Card } from "./Page";

/** Names and values, a line each. */
export function Facts({ children }: { children: ReactNode }) {
  return (
    <Card>
      <dl className="divide-y divide-line">{children}</dl>
    </Card>
  );
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1 px-4 py-3">
      <dt className="text-soft">{name}</dt>
      <dd className="flex min-w-0 flex-wrap items-center gap-x-3 gap-y-1 break-words">{children}</dd>
    </div>
  );
}
