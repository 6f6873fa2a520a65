import { useInfiniteQuery } from "@tanstack/react-query";
import { ReceiptText } from "lucide-react";
import { credits } from "@/format/credits";
import { usd } from "@/format/money";
import { Badge, type Tone } from "@/ui/Badge";
import { cx } from "@/ui/cx";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorState } from "@/ui/ErrorNote";
import { Section } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { Cell, Pager, Table } from "@/ui/Table";
import { Time } from "@/ui/Time";
import { creditsOf, type Entry, withBalances } from "./ledger";
import { ledgerQuery } from "./queries";

const KINDS: Record<Entry["kind"], { word: string; tone: Tone; means: string }> = {
  grant: { word: "Came", tone: "ok", means: "Included, given or bought credits came" },
  refund: { word: "Refund", tone: "ok", means: "Credits came back for calls that were charged" },
  charge: { word: "Charge", tone: "neutral", means: "A call was charged" },
  expiry: { word: "Lapsed", tone: "warn", means: "Credits ended with something left of them" },
  forgiveness: { word: "Written off", tone: "accent", means: "A part of a charge that no credits covered" },
};

/** Every change of the balance, newest first. */
export function Ledger() {
  const ledger = useInfiniteQuery(ledgerQuery);
  const entries = withBalances(ledger.data?.pages ?? []);
  return (
    <Section
      title="Ledger"
      lead="Every change of the balance, newest first. Entries are added and never changed; what running calls hold is no entry."
    >
      {ledger.isPending ? (
        <SkeletonRows label="Loading the ledger" />
      ) : ledger.isLoadingError ? (
        <ErrorState error={ledger.error} retry={() => ledger.refetch()} />
      ) : entries.length === 0 ? (
        <EmptyState icon={ReceiptText} title="No entries yet">
          Credits that come and calls that are charged are listed here. An admin of the instance gives credits.
        </EmptyState>
      ) : (
        <>
          <Table label="Ledger" head={["When", "Kind", "Amount", "Balance after", "For"]}>
            {entries.map((entry) => (
              <tr key={entry.id}>
                <Cell>
                  <Time at={entry.created_at} />
                </Cell>
                <Cell>
                  <Badge tone={KINDS[entry.kind].tone} title={KINDS[entry.kind].means}>
                    {KINDS[entry.kind].word}
                  </Badge>
                </Cell>
                <Cell>
                  <Amount nanoUsd={entry.amount_nano_usd} signed />
                </Cell>
                <Cell>
                  {entry.balanceNanoUsd === undefined ? (
                    <span className="text-soft" title="Entries came while it was asked for">
                      not known
                    </span>
                  ) : (
                    <Amount nanoUsd={entry.balanceNanoUsd} />
                  )}
                </Cell>
                <Cell className="min-w-40 break-words">
                  <Reason entry={entry} />
                </Cell>
              </tr>
            ))}
          </Table>
          <Pager more={ledger.hasNextPage} busy={ledger.isFetchingNextPage} onMore={() => ledger.fetchNextPage()} />
        </>
      )}
    </Section>
  );
}

/** Calls cost so little that a balance of two digits would not show them. */
const DIGITS = 3;

function Amount({ nanoUsd, signed }: { nanoUsd: number; signed?: boolean }) {
  const came = signed && nanoUsd > 0;
  return (
    <span className="whitespace-nowrap tabular-nums" title={usd(nanoUsd)}>
      <span className={cx("font-medium", came && "text-ok", !signed && nanoUsd < 0 && "text-bad")}>
        {came && "+"}
        {credits(creditsOf(nanoUsd), DIGITS)}
      </span>
    </span>
  );
}

function Reason({ entry: { kind, reference, request_id } }: { entry: Entry }) {
  if (!reference && !request_id) {
    return <span className="text-soft">{kind === "grant" ? "Included, or nothing was said" : KINDS[kind].means}</span>;
  }
  return (
    <>
      {reference && <p>{reference}</p>}
      {request_id && (
        <p className="font-mono text-xs break-all text-soft" title="The id of the call">
          {request_id}
        </p>
      )}
    </>
  );
}
