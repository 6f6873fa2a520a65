import { Info, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { cx } from "./cx";

/** Something to know before going on. */
export function Note({ tone = "info", children }: { tone?: "info" | "warn"; children: ReactNode }) {
  const Icon = tone === "warn" ? TriangleAlert : Info;
  return (
    <div
      className={cx(
        "flex gap-2.5 rounded-md px-3 py-2.5 text-sm text-text",
        tone === "warn" ? "bg-warn-soft" : "bg-accent-soft",
      )}
    >
      <Icon
        aria-hidden="true"
        size={16}
        className={cx("mt-0.5 shrink-0", tone === "warn" ? "text-warn" : "text-accent-text")}
      />
      <div className="min-w-0">{children}</div>
    </div>
  );
}
