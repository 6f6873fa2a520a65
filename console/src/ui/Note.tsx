import { Info, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { cx } from "./cx";

const SURFACES = { info: "bg-accent-soft", warn: "bg-warn-soft", bad: "bg-bad-soft" };
const MARKS = { info: "text-accent-text", warn: "text-warn", bad: "text-bad" };

/** Something to know before going on. */
export function Note({ tone = "info", children }: { tone?: "info" | "warn" | "bad"; children: ReactNode }) {
  const Icon = tone === "info" ? Info : TriangleAlert;
  return (
    <div className={cx("flex gap-2.5 rounded-md px-3 py-2.5 text-sm text-text", SURFACES[tone])}>
      <Icon aria-hidden="true" size={16} className={cx("mt-0.5 shrink-0", MARKS[tone])} />
      <div className="min-w-0">{children}</div>
    </div>
  );
}
