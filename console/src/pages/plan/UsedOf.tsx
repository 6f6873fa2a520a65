import type { Schemas } from "@/api/client";
import { count } from "@/format/number";
import { Badge } from "@/ui/Badge";
import { Meter } from "@/ui/Meter";

type View = Schemas["LimitView"];

const RESOURCES: Record<View["resource"], { name: string; where: string }> = {
  workspaces: { name: "Workspaces", where: "of this account" },
  members: { name: "Members", where: "in the workspace that has most, its owner included" },
  api_keys: { name: "API keys", where: "in the workspace that has most, without revoked ones" },
  provider_keys: { name: "Provider keys", where: "where there are most: a workspace, or the account" },
};

/** How much there is of something, and how much there may be. */
export function UsedOf({ view: { resource, used, allowed } }: { view: View }) {
  const { name, where } = RESOURCES[resource];
  const text = allowed === null ? `${count(used)}, no limit` : `${count(used)} of ${count(allowed)}`;
  return (
    <li className="grid items-center gap-x-6 gap-y-2 px-4 py-3 sm:grid-cols-[1fr_auto_12rem]">
      <div className="min-w-0">
        <p className="font-medium">{name}</p>
        <p className="text-xs text-soft">{where}</p>
      </div>
      <p className="flex items-center gap-2 tabular-nums">
        {allowed !== null && used >= allowed && (
          <Badge tone="warn">{used > allowed ? "Beyond the limit" : "Full"}</Badge>
        )}
        {text}
      </p>
      {allowed === null ? <span /> : <Meter label={name} value={used} limit={allowed} text={text} />}
    </li>
  );
}
