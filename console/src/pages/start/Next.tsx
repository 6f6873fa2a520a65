import { Link } from "@tanstack/react-router";
import { ArrowRight } from "lucide-react";
import { isAtLeast, useWorkspace } from "@/shell/workspace";
import { Section } from "@/ui/Page";

const PLACES = [
  { path: "playground", title: "Playground", what: "Try other models, and see what each answer costs." },
  { path: "models", title: "Models", what: "Choose what stands behind the default and the tiers." },
  { path: "usage", title: "Usage", what: "Follow calls, tokens and costs, by model, key and member." },
  { path: "members", title: "Members", what: "Invite those with whom you work.", admins: true },
];

/** Where the way goes on from the last step. */
export function Next() {
  const workspace = useWorkspace();
  const isAdmin = isAtLeast(workspace.role, "admin");
  return (
    <Section title="What comes next">
      <ul className="grid gap-3 sm:grid-cols-2">
        {PLACES.filter(({ admins }) => isAdmin || !admins).map(({ path, title, what }) => (
          <li key={path}>
            <Link
              to={`/w/${workspace.id}/${path}`}
              className="group flex h-full items-start gap-3 rounded-lg border border-line bg-surface px-4 py-3 no-underline hover:bg-hover"
            >
              <span className="min-w-0 flex-1">
                <span className="block font-medium">{title}</span>
                <span className="mt-0.5 block text-soft">{what}</span>
              </span>
              <ArrowRight aria-hidden="true" size={16} className="mt-0.5 shrink-0 text-soft group-hover:text-text" />
            </Link>
          </li>
        ))}
      </ul>
    </Section>
  );
}
