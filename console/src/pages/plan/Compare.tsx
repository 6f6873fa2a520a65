import type { Schemas } from "@/api/client";
import { credits } from "@/format/credits";
import { limitText } from "@/pages/account-detail/TermsFacts";
import { tierNames } from "@/pages/models/models";
import { Badge } from "@/ui/Badge";
import { Cell, Table } from "@/ui/Table";

const HEAD = [
  "Plan",
  { numeric: "Credits a month" },
  "Own keys",
  "Tiers",
  { numeric: "Workspaces" },
  { numeric: "Members" },
  { numeric: "API keys" },
  { numeric: "Provider keys" },
];

/** What the plans give on the terms that they have today. */
export function Compare({ plans, current }: { plans: Schemas["PlanView"][]; current: string }) {
  return (
    <Table label="All plans" head={HEAD}>
      {plans.map(({ id, name, terms }) => (
        <tr key={id} className={id === current ? "bg-accent-soft" : undefined}>
          <Cell>
            <span className="flex items-center gap-2 font-medium whitespace-nowrap">
              {name}
              {id === current && <Badge tone="accent">Yours</Badge>}
            </span>
          </Cell>
          <Cell numeric>{credits(terms.monthly_credits)}</Cell>
          <Cell>{terms.byok ? "Yes" : "No"}</Cell>
          <Cell className="min-w-40">{tierNames(terms.tiers)}</Cell>
          <Cell numeric>{limitText(terms.limits?.workspaces)}</Cell>
          <Cell numeric>{limitText(terms.limits?.members)}</Cell>
          <Cell numeric>{limitText(terms.limits?.api_keys)}</Cell>
          <Cell numeric>{limitText(terms.limits?.provider_keys)}</Cell>
        </tr>
      ))}
    </Table>
  );
}
