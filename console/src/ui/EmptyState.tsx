import type { LucideIcon } from "lucide-react";
import type { ReactNode } from "react";

/** Nothing is here yet: what it would be, and the way to the first one. */
export function EmptyState({
  icon: Icon,
  title,
  children,
  action,
}: {
  icon: LucideIcon;
  title: string;
  children: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className="flex flex-col items-center gap-2 rounded-lg border border-dashed border-line px-6 py-14 text-center">
      <span className="mb-1 flex size-10 items-center justify-center rounded-lg bg-accent-soft text-accent-text">
        <Icon aria-hidden="true" size={20} />
      </span>
      <p className="font-medium">{title}</p>
      <div className="max-w-md text-soft">{children}</div>
      {action && <div className="mt-3">{action}</div>}
    </div>
  );
}
