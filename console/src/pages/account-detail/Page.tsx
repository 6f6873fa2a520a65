import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { ArrowLeft, ChartNoAxesColumn, Plus } from "lucide-react";
import { useState } from "react";
import { plansQuery } from "@/api/admin";
import { accountQuery } from "@/pages/accounts/queries";
import { Button, buttonClass } from "@/ui/Button";
import { CopyButton } from "@/ui/Copy";
import { ErrorState } from "@/ui/ErrorNote";
import { Fact, Facts } from "@/ui/Facts";
import { PageBody, Section } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { Time } from "@/ui/Time";
import { BalanceFigures } from "./BalanceFigures";
import { CardTable } from "./CardTable";
import { GiveCreditsDialog } from "./GiveCreditsDialog";
import { PlanDialog } from "./PlanDialog";
import { RateDialog } from "./RateDialog";
import { TermsFacts } from "./TermsFacts";

type Open = "credits" | "plan" | "rate" | undefined;

/** One account: what it has to spend, on which terms, and what an admin can do about either. */
export function Page() {
  const { account: id = "" } = useParams({ strict: false }) as { account?: string };
  const account = useQuery(accountQuery(id));
  const plans = useQuery(plansQuery);
  const [open, setOpen] = useState<Open>();
  const close = () => setOpen(undefined);
  const detail = account.data;
  const plan = plans.data?.find((plan) => plan.id === detail?.plan);
  return (
    <PageBody
      title={detail?.owner_email ?? "Account"}
      lead={
        <Link
          to="/admin/accounts"
          className="inline-flex items-center gap-1 text-accent-text underline-offset-2 hover:underline"
        >
          <ArrowLeft aria-hidden="true" size={14} /> All accounts
        </Link>
      }
      actions={
        detail && (
          <>
            <Link
              to="/admin/usage"
              search={{ account_id: detail.id, by: "workspace" } as never}
              className={buttonClass()}
            >
              <ChartNoAxesColumn aria-hidden="true" size={16} /> Usage
            </Link>
            <Button look="primary" onClick={() => setOpen("credits")}>
              <Plus aria-hidden="true" size={16} /> Give credits
            </Button>
          </>
        )
      }
    >
      {account.isPending ? (
        <SkeletonRows label="Loading the account" />
      ) : account.isLoadingError ? (
        <ErrorState error={account.error} retry={() => account.refetch()} />
      ) : (
        <>
          <Section title="Credits" lead="One credit is $0.01. Calls on own keys take none.">
            <BalanceFigures balance={account.data.credits} />
            <CardTable cards={account.data.cards} />
          </Section>
          <Section
            title={`Plan: ${plan?.name ?? account.data.plan}`}
            lead={
              <>
                On these terms since <Time at={account.data.subscription.started_at} />. Changes of the plan itself do
                not change them.
              </>
            }
            actions={
              <Button onClick={() => setOpen("plan")} disabled={!plans.data}>
                Change plan
              </Button>
            }
          >
            <TermsFacts terms={account.data.subscription.terms} />
          </Section>
          <Section
            title="Rate"
            actions={<Button onClick={() => setOpen("rate")}>Change rate</Button>}
            lead="What this account's charges are multiplied by, beside the ratios and the factor of the settings."
          >
            <Facts>
              <Fact name="Charges are multiplied by">
                <span className="font-medium tabular-nums">{account.data.credit_rate}</span>
              </Fact>
            </Facts>
          </Section>
          <Section title="For programs">
            <Facts>
              <Fact name="Account id">
                <code className="font-mono text-xs break-all">{account.data.id}</code>
                <CopyButton text={account.data.id} name="the id of the account" />
              </Fact>
            </Facts>
          </Section>
          {open === "credits" && <GiveCreditsDialog account={account.data} onClose={close} />}
          {open === "plan" && plans.data && <PlanDialog account={account.data} plans={plans.data} onClose={close} />}
          {open === "rate" && <RateDialog account={account.data} onClose={close} />}
        </>
      )}
    </PageBody>
  );
}
