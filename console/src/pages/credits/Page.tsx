import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { credits, creditsOf } from "@/format/credits";
import { usd } from "@/format/money";
import { creditsQuery } from "@/pages/ai-config/policy";
import { ErrorState } from "@/ui/ErrorNote";
import { Figure, Figures } from "@/ui/Figures";
import { Note } from "@/ui/Note";
import { PageBody, Section } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { DIGITS, Ledger } from "./Ledger";
import { balanceQuery } from "./queries";

/** What the account has to spend, and how it came to that. */
export function Page() {
  return (
    <PageBody
      title="Credits"
      lead="Credits pay for calls that keys of the instance serve, in all workspaces that you own. Calls on own keys take none: their providers bill you."
    >
      <Balance />
      <Ledger />
    </PageBody>
  );
}

function Balance() {
  const remaining = useQuery(creditsQuery);
  const balance = useQuery(balanceQuery);
  const error = (remaining.isLoadingError && remaining.error) || (balance.isLoadingError && balance.error);
  const retry = () => {
    remaining.refetch();
    balance.refetch();
  };
  return (
    <Section
      title="Balance"
      lead={
        <>
          One credit is $0.01. What comes each month is part of your{" "}
          <Link to="/account/plan" className="text-accent-text underline underline-offset-2">
            plan
          </Link>
          ; an admin of the instance gives more.
        </>
      }
    >
      {error ? (
        <ErrorState error={error} retry={retry} />
      ) : !remaining.data || !balance.data ? (
        <SkeletonRows rows={1} label="Loading the balance" />
      ) : (
        <>
          <Figures>
            <Figure
              name="The next call may use"
              value={credits(remaining.data.remaining, DIGITS)}
              detail={usd(remaining.data.remaining_micro * 1000)}
            />
            <Figure
              name="Total"
              value={credits(remaining.data.total, DIGITS)}
              detail={`${usd(remaining.data.total_micro * 1000)}; what came and has not lapsed`}
            />
            <Figure
              name="Held for running calls"
              value={credits(creditsOf(balance.data.pending_debits_micro_usd * 1000), DIGITS)}
              detail={usd(balance.data.pending_debits_micro_usd * 1000)}
            />
          </Figures>
          {balance.data.balance_micro_usd < 0 && (
            <Note tone="warn">
              {credits(creditsOf(-balance.data.balance_micro_usd * 1000))} are owed: a call cost more than there was.
              The next credits that come repay it first.
            </Note>
          )}
        </>
      )}
    </Section>
  );
}
