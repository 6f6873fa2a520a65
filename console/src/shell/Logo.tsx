import { cx } from "@/ui/cx";

/** The mark and the name. */
export function Logo({ className }: { className?: string }) {
  return (
    <span className={cx("flex items-center gap-2 font-semibold tracking-tight", className)}>
      <svg viewBox="0 0 32 32" aria-hidden="true" className="size-6">
        <rect width="32" height="32" rx="7" className="fill-accent" />
        <g fill="none" strokeWidth="2.5" strokeLinecap="round" className="stroke-on-accent">
          <circle cx="12" cy="16" r="4.5" />
          <path d="M16.5 16H26m-3 0v4" />
        </g>
      </svg>
      Keybearer
    </span>
  );
}
