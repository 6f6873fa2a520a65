import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { membersQuery, providerKeysQuery } from "@/api/queries";
import { milliseconds } from "@/format/number";
import { isKey } from "@/pages/keys/keys";
import { accountKeysQuery } from "@/pages/keys/scope";
import { useMe, useWorkspace } from "@/shell/workspace";
import { Badge } from "@/ui/Badge";
import { Fact, Facts } from "@/ui/Facts";
import { Spinner } from "@/ui/Spinner";
import { Time } from "@/ui/Time";
import { hasEnded, outputsOf, progressText, type Run, VISIBILITIES } from "../studio/runs";
import { StatusBadge } from "../studio/StatusBadge";
import type { Following } from "./useRun";

/** How far a run is, by what and with whose keys it is made, and who may read it. */
export function RunFacts({ run, following }: { run: Run; following: Following }) {
  const me = useMe();
  const visibility = VISIBILITIES.find(({ value }) => value === run.visibility);
  const mine = run.user_id === me.user.id;
  return (
    <Facts>
      <Fact name="Status">
        <div role="status" className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <StatusBadge status={run.status} />
          {!hasEnded(run.status) && <Spinner />}
          <span>{progressText(run)}</span>
        </div>
        <Duration run={run} />
        {following === "asking" && (
          <span className="text-xs text-soft">The live stream is away; the page asks every two seconds.</span>
        )}
      </Fact>
      <Fact name="Makes">
        {outputsOf(run)}
        {run.retries > 0 && (
          <span className="text-xs text-soft">tried again {run.retries === 1 ? "once" : `${run.retries} times`}</span>
        )}
      </Fact>
      {run.model && (
        <Fact name="Script pinned to">
          <code className="font-mono text-xs wrap-anywhere">
            {run.model.provider}/{run.model.model}
          </code>
          <PinnedKey pinned={run.model} />
        </Fact>
      )}
      {run.output_types.includes("image") && (
        <Fact name="Pictures by">
          the image models of this instance <Badge tone="accent">Credits</Badge>
        </Fact>
      )}
      <Fact name="Who may read it">
        <span>
          {visibility?.label}{" "}
          <span className="text-xs text-soft">
            {run.visibility === "private" && !mine ? "" : (visibility?.detail ?? "")}
          </span>
        </span>
      </Fact>
      <Fact name="Made">
        <Time at={run.created_at} /> by {mine ? "you" : <Maker id={run.user_id} />}
      </Fact>
    </Facts>
  );
}

/** The key that the script was pinned to, by its label for whom the list of keys tells it. */
function PinnedKey({ pinned }: { pinned: NonNullable<Run["model"]> }) {
  const workspace = useWorkspace();
  const own = pinned.key_source === "byok";
  const keys = useQuery({ ...providerKeysQuery(workspace.id), enabled: own }).data ?? [];
  const accountKeys = useQuery({
    ...accountKeysQuery(workspace.account_id),
    enabled: own && workspace.role === "owner",
  }).data;
  if (!own) return <Badge tone="accent">Credits</Badge>;
  const key = [...keys.filter(isKey), ...(accountKeys ?? [])].find(({ id }) => id === pinned.key_id);
  if (!key) {
    return (
      <>
        <Badge tone="ok">Own key</Badge>
        {/* A key that was removed since is in no list; the run knows how it was called. */}
        {pinned.key_label ? (
          <span className="wrap-anywhere">{pinned.key_label}</span>
        ) : (
          <code className="font-mono text-xs wrap-anywhere text-soft">{pinned.key_id}</code>
        )}
      </>
    );
  }
  return (
    <>
      <Badge tone="ok">Own key</Badge>
      <Link
        to={key.scope === "account" ? "/account/keys" : `/w/${workspace.id}/keys`}
        className="wrap-anywhere text-accent-text underline-offset-2 hover:underline"
      >
        {key.label}
      </Link>
      <code className="font-mono text-xs text-soft">{key.mask}</code>
    </>
  );
}

function Maker({ id }: { id: string }) {
  const workspace = useWorkspace();
  const members = useInfiniteQuery(membersQuery(workspace.id)).data?.pages.flatMap(({ data }) => data) ?? [];
  return <span className="wrap-anywhere">{members.find(({ user_id }) => user_id === id)?.email ?? id}</span>;
}

/** How long it took, or has been going on. */
function Duration({ run: { status, started_at, ended_at } }: { run: Run }) {
  const going = !hasEnded(status);
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!going) return;
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [going]);
  if (!started_at || (!going && !ended_at)) return null;
  const took = (going || !ended_at ? now : Date.parse(ended_at)) - Date.parse(started_at);
  if (going) return <span className="text-xs text-soft tabular-nums">for {seconds(took)}</span>;
  return <span className="text-xs text-soft tabular-nums">in {milliseconds(Math.max(took, 0))}</span>;
}

/** Whole seconds: what goes on needs no more. */
function seconds(ms: number): string {
  return milliseconds(Math.max(Math.floor(ms / 1000), 1) * 1000);
}
