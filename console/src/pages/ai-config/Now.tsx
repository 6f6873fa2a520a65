import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Schemas } from "@/api/client";
import { providersQuery } from "@/api/queries";
import { credits as inCredits } from "@/format/credits";
import { usd } from "@/format/money";
import { useMe, useWorkspace } from "@/shell/workspace";
import { Badge, type Tone } from "@/ui/Badge";
import { ErrorNote } from "@/ui/ErrorNote";
import { Card } from "@/ui/Page";
import { Skeleton } from "@/ui/Skeleton";
import { Time } from "@/ui/Time";
import { NoCredits } from "./NoCredits";
import { NoPlatformKey } from "./NoPlatformKey";
import { aiConfigQuery, creditsQuery, type Mode, type Policy } from "./policy";

type Status = Schemas["AiConfig"]["status"];

export const STATUS: Record<Status, { tone: Tone; word: string }> = {
  managed_active: { tone: "accent", word: "Credits pay" },
  byok_active: { tone: "ok", word: "An own key serves" },
  invalid_missing_key: { tone: "bad", word: "Calls are refused" },
};

/** What calls of the workspace meet as things stand. */
export function Now({ policy }: { policy: Policy }) {
  const workspace = useWorkspace();
  const config = useQuery(aiConfigQuery(workspace.id));
  const providers = useQuery(providersQuery);
  if (config.isLoadingError) return <ErrorNote error={config.error} title="What calls meet now could not be asked" />;
  if (!config.data) return <Skeleton className="h-52 rounded-lg sm:h-32" />;
  const { status, provider, updated_at, managed_available, credits_left, mode, effective_mode } = config.data;
  const isManaged = status === "managed_active";
  const isRefused = isManaged && (!managed_available || !credits_left);
  const { tone, word } = STATUS[isRefused ? "invalid_missing_key" : status];
  const name = providers.data?.find(({ id }) => id === provider)?.name ?? provider;
  return (
    <Card className="flex flex-wrap items-start justify-between gap-x-8 gap-y-3 p-4">
      <div className="min-w-0 max-w-2xl">
        <p className="flex flex-wrap items-center gap-2">
          <Badge tone={tone}>{word}</Badge>
          <span className="text-xs text-soft">
            {name ? `calls of ${name}'s models, as things stand` : "as things stand"}
          </span>
        </p>
        <p className="mt-2">
          {isManaged && !managed_available ? (
            <NoPlatformKey provider={name ?? undefined} />
          ) : isRefused ? (
            <NoCredits />
          ) : (
            meaning(status, effective_mode ?? null, policy, workspace.id)
          )}
        </p>
        {effective_mode !== mode && effective_mode && (
          <p className="mt-1">
            The instance does not offer the mode {mode} any more, so {effective_mode} counts in its place.
          </p>
        )}
        {updated_at && (
          <p className="mt-1 text-xs text-soft">
            Changed <Time at={updated_at} />
          </p>
        )}
      </div>
      <Credits />
    </Card>
  );
}

function meaning(status: Status, mode: Mode | null, policy: Policy, workspace: string): ReactNode {
  if (mode === null)
    return `The instance offers neither the mode ${policy.mode} nor byok. An admin of this workspace can choose another one below.`;
  if (status === "managed_active") {
    return mode === "auto"
      ? "No own key can serve, so keys of the instance serve and credits pay."
      : "Keys of the instance serve, and credits pay. Own keys are not looked at.";
  }
  if (status === "byok_active") {
    return mode === "auto"
      ? "Its provider bills the key's owner. Models that no own key can serve are paid by credits, where the instance has a key for them."
      : "Its provider bills the key's owner. Models that no own key can serve are refused.";
  }
  if (policy.byok === "forbidden") return "An own key would have to serve, and the guardrail below forbids them.";
  if (!policy.byok_allowed)
    return `An own key would have to serve, and the account's plan (${policy.plan}) lets none serve.`;
  if (mode === "managed") return "The guardrail below forbids credits, and this mode looks at no own key.";
  return (
    <>
      An own key would have to serve, and none can: there is none, or it is switched off, here or by an admin of the
      instance. See{" "}
      <Link to={`/w/${workspace}/keys`} className="text-accent-text underline underline-offset-2">
        Keys
      </Link>
      .
    </>
  );
}

/** The credits that would pay, to whom they belong. */
function Credits() {
  const workspace = useWorkspace();
  const me = useMe();
  const own = me.user.account_id === workspace.account_id;
  const credits = useQuery({ ...creditsQuery, enabled: own });
  if (!own || !credits.data) return null;
  return (
    <dl className="sm:text-right">
      <dt className="text-xs text-soft">Credits of your account</dt>
      <dd className="mt-0.5 text-base font-semibold tabular-nums">{inCredits(credits.data.remaining)}</dd>
      <dd className="text-xs text-soft tabular-nums">
        {usd(credits.data.remaining_micro * 1000)}, of {inCredits(credits.data.total)} that came
      </dd>
    </dl>
  );
}
