import { Link } from "@tanstack/react-router";
import { KeyRound } from "lucide-react";
import type { Schemas } from "@/api/client";
import { KeyHealth } from "@/pages/keys/KeyHealth";
import { Badge, type Tone } from "@/ui/Badge";
import { buttonClass } from "@/ui/Button";
import { EmptyState } from "@/ui/EmptyState";
import { Cell, Table } from "@/ui/Table";
import { isFailing } from "./concerns";

type Key = Schemas["ProviderKeyView"];

const STATES: Record<Key["state"], { word: string; tone: Tone }> = {
  active: { word: "Serves", tone: "ok" },
  disabled: { word: "Disabled", tone: "neutral" },
  dormant: { word: "Dormant", tone: "warn" },
  resting: { word: "Resting", tone: "warn" },
};

/** The platform keys, each with how it fares. */
export function KeyTable({ keys, providers }: { keys: Key[]; providers: Schemas["ProviderSwitchView"][] }) {
  if (keys.length === 0) {
    return (
      <EmptyState
        icon={KeyRound}
        title="No platform keys"
        action={
          <Link to="/admin/platform-keys" className={buttonClass("primary")}>
            Platform keys
          </Link>
        }
      >
        Without one, credits pay for nothing: only own keys serve.
      </EmptyState>
    );
  }
  const nameOf = (id: string) => providers.find((provider) => provider.id === id)?.name ?? id;
  const order = [...keys].sort(
    (one, other) =>
      Number(isFailing(other)) - Number(isFailing(one)) ||
      one.provider.localeCompare(other.provider) ||
      one.position - other.position,
  );
  return (
    <Table label="Platform keys" head={["Provider", "Key", "State", "In the last 24 hours"]}>
      {order.map((key) => (
        <tr key={key.id}>
          <Cell className="whitespace-nowrap">{nameOf(key.provider)}</Cell>
          <Cell className="min-w-32">
            <p className="font-medium break-all">{key.label}</p>
            <code className="font-mono text-xs text-soft">{key.mask}</code>
          </Cell>
          <Cell>
            {isFailing(key) ? (
              <Badge tone="bad">Fails</Badge>
            ) : (
              <Badge tone={STATES[key.state].tone}>{STATES[key.state].word}</Badge>
            )}
          </Cell>
          <Cell className="min-w-64">
            <KeyHealth keyView={key} />
          </Cell>
        </tr>
      ))}
    </Table>
  );
}
