import { Coins } from "lucide-react";
import type { Schemas } from "@/api/client";
import { credits } from "@/format/credits";
import { Badge } from "@/ui/Badge";
import { EmptyState } from "@/ui/EmptyState";
import { Cell, Table } from "@/ui/Table";
import { Time } from "@/ui/Time";

const KINDS: Record<Schemas["CreditCard"]["kind"], string> = {
  included: "Included",
  grant: "Grant",
  top_up: "Top-up",
  refund: "Refund",
};

/** Credits that came together, in the order in which they are spent. */
export function CardTable({ cards }: { cards: Schemas["CreditCard"][] }) {
  if (cards.length === 0) {
    return (
      <EmptyState icon={Coins} title="No credits left">
        What is given from now on is listed here until it is spent or lapses.
      </EmptyState>
    );
  }
  return (
    <Table
      label="Credits, in the order in which they are spent"
      head={["Kind", { numeric: "Left" }, { numeric: "Of" }, "Added", "Lapses", "For"]}
    >
      {cards.map((card) => (
        <tr key={card.id}>
          <Cell>
            <Badge>{KINDS[card.kind]}</Badge>
          </Cell>
          <Cell numeric className="font-medium">
            {credits(card.remaining.credits)}
          </Cell>
          <Cell numeric>{credits(card.granted.credits)}</Cell>
          <Cell>
            <Time at={card.granted_at} />
          </Cell>
          <Cell>{card.expires_at ? <Time at={card.expires_at} /> : "Never"}</Cell>
          <Cell className="min-w-40 break-words">
            {card.reference ?? (
              <span className="text-soft">{card.kind === "included" ? "Included in the plan" : "Nothing said"}</span>
            )}
          </Cell>
        </tr>
      ))}
    </Table>
  );
}
