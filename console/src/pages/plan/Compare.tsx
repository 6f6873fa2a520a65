import type { Schemas } from "@/api/client";
import { credits } from "@/format/credits";
import { limitText, TIER_NAMES } from "@/pages/account-detail/TermsFacts";
import { Badge } from "@/ui/Badge";
import { Cell, Table } from "@/ui/Table";

const HEAD = ["Plan", "Credits a month", "Own keys", "Tiers", "Workspaces", "Members", "API keys", "Provider keys"];

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
          <Cell className="whitespace-nowrap tabular-nums">{credits(terms.monthly_credits)}</Cell>
          <Cell>{terms.byok ? "Yes" : "No"}</Cell>
          <Cell className="min-w-40">{terms.tiers.map((tier) => TIER_NAMES[tier]).join(", ")}</Cell>
          <Cell className="tabular-nums">{limitText(terms.limits?.workspaces)}</Cell>
          <Cell className="tabular-nums">{limitText(terms.limits?.members)}</Cell>
          <Cell className="tabular-nums">{limitText(terms.limits?.api_keys)}</Cell>
          <Cell className="tabular-nums">{limitText(terms.limits?.provider_keys)}</Cell>
        </tr>
      ))}
    </Table>
  );
}
