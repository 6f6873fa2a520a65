import { Waypoints } from "lucide-react";
import type { Schemas } from "@/api/client";
import { count, milliseconds, percent } from "@/format/number";
import { ProviderBadges } from "@/pages/providers/ProviderRow";
import { Badge } from "@/ui/Badge";
import { EmptyState } from "@/ui/EmptyState";
import { Cell, Table } from "@/ui/Table";
import type { ProviderSums } from "./queries";

type Provider = Schemas["ProviderSwitchView"];

const HEAD = [
  "Provider",
  "State",
  { numeric: "Platform keys" },
  { numeric: "Calls" },
  { numeric: "Failed" },
  { numeric: "Mean time" },
];

/** The providers that serve, each with how its calls ended. */
export function ProviderTable({ providers, sums }: { providers: Provider[]; sums: ProviderSums[] }) {
  const sumsOf = (id: string) => sums.find(({ provider }) => provider === id);
  const shown = providers
    .filter(({ id, platform_keys }) => platform_keys > 0 || sumsOf(id))
    .sort((one, other) => (sumsOf(other.id)?.calls ?? 0) - (sumsOf(one.id)?.calls ?? 0));
  if (shown.length === 0) {
    return (
      <EmptyState icon={Waypoints} title="No provider was called">
        Providers are listed here as soon as a call reached them or there is a platform key for them.
      </EmptyState>
    );
  }
  return (
    <Table label="Providers" head={HEAD}>
      {shown.map((provider) => (
        <ProviderLine key={provider.id} provider={provider} sums={sumsOf(provider.id)} />
      ))}
    </Table>
  );
}

/** From this share of failed calls on it is worth a look. */
const MANY_FAIL = 0.1;

function ProviderLine({ provider, sums }: { provider: Provider; sums: ProviderSums | undefined }) {
  const failed = sums && sums.calls > 0 ? sums.failed / sums.calls : 0;
  return (
    <tr>
      <Cell className="font-medium whitespace-nowrap">{provider.name}</Cell>
      <Cell>
        <span className="flex flex-wrap gap-1">
          {provider.enabled &&
            provider.status === "active" &&
            (provider.byok ? <Badge tone="ok">Serves</Badge> : <Badge tone="warn">Own keys rest</Badge>)}
          <ProviderBadges provider={provider} />
        </span>
      </Cell>
      <Cell numeric>{count(provider.platform_keys)}</Cell>
      <Cell numeric>{count(sums?.calls ?? 0)}</Cell>
      <Cell numeric>
        {sums && sums.calls > 0 ? (
          <span className={failed >= MANY_FAIL ? "text-bad" : undefined}>
            {percent(failed)} <span className="text-xs text-soft">({count(sums.failed)})</span>
          </span>
        ) : (
          <span className="text-soft">no calls</span>
        )}
      </Cell>
      <Cell numeric>
        {typeof sums?.latency_ms === "number" ? milliseconds(sums.latency_ms) : <span className="text-soft">none</span>}
      </Cell>
    </tr>
  );
}
