import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { credits } from "@/format/credits";
import { day } from "@/format/time";
import { tierNames } from "@/pages/models/models";
import { useMe } from "@/shell/workspace";
import { Badge } from "@/ui/Badge";
import { buttonClass } from "@/ui/Button";
import { ErrorNote, ErrorState } from "@/ui/ErrorNote";
import { Fact, Facts } from "@/ui/Facts";
import { Card, PageBody, Section } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { Compare } from "./Compare";
import { limitsQuery, offeredPlansQuery } from "./queries";
import { UsedOf } from "./UsedOf";

/** What the account's plan gives and bounds, how much of it is used, and who changes it. */
export function Page() {
  const { user } = useMe();
  const limits = useQuery(limitsQuery);
  const plans = useQuery(offeredPlansQuery);
  const name = plans.data?.find(({ id }) => id === limits.data?.plan)?.name ?? limits.data?.plan;
  return (
    <PageBody
      title="Plan"
      lead="What your account may do, in all workspaces that you own, and the credits that come with it each month."
      actions={
        user.instance_admin && (
          <Link to={`/admin/accounts/${user.account_id}`} className={buttonClass()}>
            Change plan
          </Link>
        )
      }
    >
      {limits.isPending ? (
        <SkeletonRows label="Loading the plan" />
      ) : limits.isLoadingError ? (
        <ErrorState error={limits.error} retry={() => limits.refetch()} />
      ) : (
        <>
          <Section
            title={`Your plan: ${name}`}
            lead={`On these terms since ${day(limits.data.since)}. When the plan itself changes, yours stays as it was until an admin of the instance gives it to you again.`}
          >
            <Facts>
              <Fact name="Credits included each month">{credits(limits.data.monthly_credits)}</Fact>
              <Fact name="Own keys">
                {limits.data.byok ? (
                  <Badge tone="ok">May serve</Badge>
                ) : (
                  <Badge tone="warn">Rest, none can be added</Badge>
                )}
              </Fact>
              <Fact name="Tiers that calls may name">{tierNames(limits.data.tiers)}</Fact>
            </Facts>
          </Section>
          <Section
            title="Used"
            lead="What is beyond a limit stays and works; one more is refused with 402 limit_exceeded."
          >
            <Card>
              <ul className="divide-y divide-line">
                {limits.data.resources.map((view) => (
                  <UsedOf key={view.resource} view={view} />
                ))}
              </ul>
            </Card>
          </Section>
          <Section
            title="All plans"
            lead={
              user.instance_admin
                ? "As an admin of the instance you change the plan of each account, yours too."
                : "An admin of the instance changes the plan of an account. Ask one, if another fits you better."
            }
          >
            {plans.isPending ? (
              <SkeletonRows label="Loading the plans" />
            ) : plans.isLoadingError ? (
              <ErrorNote error={plans.error} title="The other plans could not be loaded" />
            ) : (
              <Compare plans={plans.data} current={limits.data.plan} />
            )}
          </Section>
        </>
      )}
    </PageBody>
  );
}
