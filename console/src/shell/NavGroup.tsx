import { Link } from "@tanstack/react-router";
import type { PageEntry } from "@/pages";

/** The pages of one part of the console. */
export function NavGroup({ label, base, pages }: { label: string; base: string; pages: PageEntry[] }) {
  const shown = pages.filter(({ icon }) => icon);
  if (shown.length === 0) return null;
  return (
    <nav aria-label={label}>
      <p aria-hidden="true" className="px-2 pb-1 text-xs font-medium text-soft">
        {label}
      </p>
      <ul className="flex flex-col gap-0.5">
        {shown.map(({ path, title, icon: Icon }) => (
          <li key={path}>
            <Link
              to={`${base}/${path}`}
              className="flex h-8 items-center gap-2 rounded-md px-2 text-sm text-soft no-underline hover:bg-hover hover:text-text aria-[current=page]:bg-hover aria-[current=page]:font-medium aria-[current=page]:text-text"
            >
              {Icon && <Icon aria-hidden="true" size={16} />}
              {title}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  );
}
