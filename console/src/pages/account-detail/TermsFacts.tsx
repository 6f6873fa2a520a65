import type { Schemas } from "@/api/client";
import { credits } from "@/format/credits";
import { count } from "@/format/number";
import { tierNames } from "@/pages/models/models";
import { Badge } from "@/ui/Badge";
import { Fact, Facts } from "@/ui/Facts";

type Terms = Schemas["TermsView"];

/** What a limit says. */
export function limitText(limit: number | null | undefined): string {
  return limit === null || limit === undefined ? "No limit" : count(limit);
}

/** What a plan gives. */
export function TermsFacts({ terms }: { terms: Terms }) {
  return (
    <Facts>
      <Fact name="Included each month">{credits(terms.monthly_credits)}</Fact>
      <Fact name="Own keys">
        {terms.byok ? <Badge tone="ok">May serve</Badge> : <Badge tone="warn">Rest, none can be added</Badge>}
      </Fact>
      <Fact name="Tiers by name">{tierNames(terms.tiers)}</Fact>
      <Fact name="Workspaces">{limitText(terms.limits?.workspaces)}</Fact>
      <Fact name="Members of each workspace">{limitText(terms.limits?.members)}</Fact>
      <Fact name="API keys of each workspace">{limitText(terms.limits?.api_keys)}</Fact>
      <Fact name="Provider keys of each workspace">{limitText(terms.limits?.provider_keys)}</Fact>
    </Facts>
  );
}
