import type { ReactNode } from "react";
import { Logo } from "./Logo";

const focus = (element: HTMLElement | null) => element?.focus();

/**
 * A page without a sidebar: logging in, setting up, approving. `next`: it takes the place of another by what was done there,
 * so the focus goes to its title.
 */
export function Frame({
  title,
  lead,
  next,
  children,
}: {
  title: string;
  lead?: ReactNode;
  next?: boolean;
  children: ReactNode;
}) {
  return (
    <main className="flex min-h-dvh flex-col items-center bg-sunken px-4 py-10 sm:py-20">
      <title>{`${title} · Keybearer`}</title>
      <div className="w-full max-w-sm">
        <Logo className="mb-8 justify-center" />
        <div className="rounded-lg border border-line bg-surface p-6">
          <h1
            ref={next ? focus : undefined}
            tabIndex={next ? -1 : undefined}
            className="text-lg font-semibold tracking-tight outline-none"
          >
            {title}
          </h1>
          {lead && <p className="mt-1 text-soft">{lead}</p>}
          <div className="mt-5">{children}</div>
        </div>
      </div>
    </main>
  );
}
