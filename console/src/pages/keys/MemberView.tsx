import { KeyRound } from "lucide-react";
import { Badge } from "@/ui/Badge";
import { EmptyState } from "@/ui/EmptyState";
import { Card } from "@/ui/Page";
import { type Availability, isKey, type Key, type Provider } from "./keys";

/** What members see: that there is a key, and nothing more of it. */
export function MemberView({ entries, providers }: { entries: (Key | Availability)[]; providers: Provider[] }) {
  const shown = entries.filter((entry): entry is Availability => !isKey(entry));
  if (shown.length === 0) {
    return (
      <EmptyState icon={KeyRound} title="No provider keys yet">
        Admins of this workspace add them. Ask one if you need a provider.
      </EmptyState>
    );
  }
  return (
    <Card>
      <ul className="divide-y divide-line">
        {shown.map(({ provider, available }) => (
          <li key={provider} className="flex items-center justify-between gap-4 px-4 py-3">
            <span className="font-medium">{providers.find(({ id }) => id === provider)?.name ?? provider}</span>
            {available ? <Badge tone="ok">A key may serve</Badge> : <Badge>No key may serve now</Badge>}
          </li>
        ))}
      </ul>
    </Card>
  );
}
