import { useInfiniteQuery } from "@tanstack/react-query";
import { ReceiptText, X } from "lucide-react";
import { credits, creditsOf } from "@/format/credits";
import { momentsOf } from "@/format/days";
import { usd } from "@/format/money";
import { useFilters } from "@/shell/filters";
import { Badge, type Tone } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { cx } from "@/ui/cx";
import { DayFields } from "@/ui/DayFields";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorState } from "@/ui/ErrorNote";
import { Field } from "@/ui/Field";
import { Section } from "@/ui/Page";
import { Select } from "@/ui/Select";
import { SkeletonRows } from "@/ui/Skeleton";
import { Cell, Pager, Table } from "@/ui/Table";
import { Time } from "@/ui/Time";
import { ledgerQuery, type Transaction } from "./queries";

const KINDS: Record<Transaction["kind"], { word: string; tone: Tone; means: string }> = {
  grant: { word: "Added", tone: "ok", means: "Included, given or bought credits came" },
  refund: { word: "Refund", tone: "ok", means: "Credits came back for calls that were charged" },
  charge: { word: "Charge", tone: "neutral", means: "A call was charged" },
  expiry: { word: "Lapsed", tone: "warn", means: "Credits ended with something left of them" },
  forgiveness: { word: "Written off", tone: "accent", means: "A part of a charge that no credits covered" },
};

const ALL = { value: "", label: "All" };
const KIND_OPTIONS = [ALL, ...Object.entries(KINDS).map(([value, { word }]) => ({ value, label: word }))];

const CHOICES = ["kind", "from", "to"] as const;

/** Every change of the balance, newest first; what it is narrowed down to stands in the address. */
export function Ledger() {
  const [choice, change] = useFilters(CHOICES);
  const kind = isKind(choice.kind) ? choice.kind : undefined;
  const ledger = useInfiniteQuery(ledgerQuery({ ...(kind ? { kind } : {}), ...momentsOf(choice) }));
  const entries = ledger.data?.pages.flatMap(({ data }) => data) ?? [];
  const cut = CHOICES.some((name) => choice[name]);
  // Nothing is there to choose from.
  const isEmpty = ledger.isSuccess && entries.length === 0 && !cut;
  const clear = () => change(Object.fromEntries(CHOICES.map((name) => [name, undefined])));
  return (
    <Section
      title="Ledger"
      lead="Every change of the balance, newest first. Entries are added and never changed; what running calls hold is no entry."
    >
      {!isEmpty && (
        <div className="grid grid-cols-2 gap-3 lg:grid-cols-3">
          <Field label="Kind" className="col-span-2 lg:col-span-1">
            {(control) => (
              <Select
                control={control}
                value={kind ?? ""}
                onChange={(value) => change({ kind: value })}
                options={KIND_OPTIONS}
              />
            )}
          </Field>
          <DayFields days={choice} change={change} />
        </div>
      )}
      {cut && (
        <div>
          <Button size="small" look="quiet" onClick={clear}>
            <X aria-hidden="true" size={14} /> Show all
          </Button>
        </div>
      )}
      {ledger.isPending ? (
        <SkeletonRows label="Loading the ledger" />
      ) : ledger.isLoadingError ? (
        <ErrorState error={ledger.error} retry={() => ledger.refetch()} />
      ) : entries.length === 0 ? (
        <EmptyState icon={ReceiptText} title={cut ? "No such entry" : "No entries yet"}>
          {cut
            ? "No entry is as you chose."
            : "Credits that come and calls that are charged are listed here. An admin of the instance gives credits."}
        </EmptyState>
      ) : (
        <>
          <Table label="Ledger" head={["When", "Kind", { numeric: "Amount" }, { numeric: "Balance after" }, "For"]}>
            {entries.map((entry) => (
              <tr key={entry.id}>
                <Cell>
                  <Time at={entry.created_at} exact />
                </Cell>
                <Cell>
                  <Badge tone={KINDS[entry.kind].tone} title={KINDS[entry.kind].means}>
                    {KINDS[entry.kind].word}
                  </Badge>
                </Cell>
                <Cell numeric>
                  <Amount nanoUsd={entry.amount_nano_usd} signed />
                </Cell>
                <Cell numeric>
                  <Amount nanoUsd={entry.balance_nano_usd} />
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

const isKind = (text: string | undefined): text is Transaction["kind"] =>
  text !== undefined && Object.hasOwn(KINDS, text);

/** Calls cost so little that a balance of two digits would not show them. */
export const DIGITS = 3;

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

const CARDS: Record<NonNullable<Transaction["card_kind"]>, string> = {
  included: "Included in the plan",
  grant: "Given by an admin of the instance",
  top_up: "Bought",
  refund: "Given back",
};

function Reason({ entry: { kind, reference, request_id, card_kind } }: { entry: Transaction }) {
  const from = card_kind ? CARDS[card_kind] : undefined;
  if (!reference && !request_id) {
    const means = kind === "expiry" && from ? `What was left of: ${from.toLowerCase()}` : (from ?? KINDS[kind].means);
    return <span className="text-soft">{means}</span>;
  }
  return (
    <>
      {reference && <p title={from}>{reference}</p>}
      {request_id && (
        <p className="font-mono text-xs break-all text-soft" title="The id of the call">
          {request_id}
        </p>
      )}
    </>
  );
}
