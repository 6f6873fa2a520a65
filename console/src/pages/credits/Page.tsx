import { useQuery } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import { LIVE_MS } from "@/api/queries";
import { credits } from "@/format/credits";
import { usd } from "@/format/money";
import { count } from "@/format/number";
import { day } from "@/format/time";
import { TIER_NAMES } from "@/pages/account-detail/TermsFacts";
import { Badge } from "@/ui/Badge";
import { ErrorState } from "@/ui/ErrorNote";
import { Fact, Facts } from "@/ui/Facts";
import { Figure, Figures } from "@/ui/Figures";
import { PageBody, Section } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";

const RESOURCES = {
  workspaces: ["Workspaces", "of this account"],
  members: ["Members", "in the fullest workspace"],
  api_keys: ["API keys", "in the fullest workspace"],
  provider_keys: ["Provider keys", "in the fullest place"],
} as const;

/** What the account has to spend, and what its plan gives. */
export function Page() {
  const balance = useQuery({
    queryKey: ["me", "credits"],
    queryFn: ({ signal }) => ok(api.GET("/api/v1/users/me/credits", { signal })),
    refetchInterval: LIVE_MS,
  });
  const limits = useQuery({
    queryKey: ["me", "limits"],
    queryFn: ({ signal }) => ok(api.GET("/api/v1/users/me/limits", { signal })),
  });
  return (
    <PageBody
      title="Credits and plan"
      lead="Credits pay for calls that keys of the instance serve, in all workspaces that you own. Calls on own keys take none: their providers bill you."
    >
      <Section title="Credits" lead="One credit is $0.01.">
        {balance.isPending ? (
          <SkeletonRows rows={1} label="Loading the credits" />
        ) : balance.isLoadingError ? (
          <ErrorState error={balance.error} retry={() => balance.refetch()} />
        ) : (
          <Figures>
            <Figure
              name="The next call may use"
              value={credits(balance.data.remaining)}
              detail={`${usd(balance.data.remaining_micro * 1000)}; without what running calls hold`}
            />
            <Figure
              name="Of"
              value={credits(balance.data.total)}
              detail={`${usd(balance.data.total_micro * 1000)}; what came and has not lapsed`}
            />
          </Figures>
        )}
      </Section>
      {limits.isPending ? (
        <SkeletonRows label="Loading the plan" />
      ) : limits.isLoadingError ? (
        <ErrorState error={limits.error} retry={() => limits.refetch()} />
      ) : (
        <Section
          title={`Plan: ${limits.data.plan}`}
          lead={`On these terms since ${day(limits.data.since)}. An admin of the instance changes the plan.`}
        >
          <Facts>
            <Fact name="Included each month">{credits(limits.data.monthly_credits)}</Fact>
            <Fact name="Own keys">
              {limits.data.byok ? (
                <Badge tone="ok">May serve</Badge>
              ) : (
                <Badge tone="warn">Rest, none can be added</Badge>
              )}
            </Fact>
            <Fact name="Tiers by name">{limits.data.tiers.map((tier) => TIER_NAMES[tier]).join(", ")}</Fact>
            {limits.data.resources.map(({ resource, used, allowed }) => (
              <Fact key={resource} name={RESOURCES[resource][0]}>
                <span>
                  {count(used)} {allowed === null ? "used, no limit" : `of ${count(allowed)}`}{" "}
                  <span className="text-xs text-soft">{RESOURCES[resource][1]}</span>
                </span>
                {allowed !== null && used >= allowed && <Badge tone="warn">Full</Badge>}
              </Fact>
            ))}
          </Facts>
        </Section>
      )}
    </PageBody>
  );
}
