import { useInfiniteQuery } from "@tanstack/react-query";
import { ScrollText } from "lucide-react";
import type { Schemas } from "@/api/client";
import { membersQuery } from "@/api/queries";
import { plural } from "@/format/number";
import { apiKeysQuery } from "@/pages/api-keys/queries";
import { AdminsOnly } from "@/shell/AdminsOnly";
import { useFilters } from "@/shell/filters";
import { isAtLeast, useMe, useWorkspace } from "@/shell/workspace";
import { Badge } from "@/ui/Badge";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorState } from "@/ui/ErrorNote";
import { Field, TextField } from "@/ui/Field";
import { PageBody } from "@/ui/Page";
import { Select } from "@/ui/Select";
import { SkeletonRows } from "@/ui/Skeleton";
import { Cell, Pager, Table } from "@/ui/Table";
import { Time } from "@/ui/Time";
import { auditQuery } from "./queries";

type Row = Schemas["AuditView"];

/** Who did what in the workspace. */
export function Page() {
  const workspace = useWorkspace();
  if (isAtLeast(workspace.role, "admin")) return <Audit />;
  return <AdminsOnly title="Audit" what="The audit log tells who changed what." />;
}

const OUTCOMES = [
  { value: "", label: "All" },
  { value: "ok", label: "Done" },
  { value: "refused", label: "Refused" },
  { value: "probe_failed", label: "Probe failed" },
];

function Audit() {
  const workspace = useWorkspace();
  const me = useMe();
  const [filters, change] = useFilters(["action", "outcome", "text"] as const);
  const log = useInfiniteQuery(auditQuery(workspace.id));
  const members = useInfiniteQuery(membersQuery(workspace.id)).data?.pages.flatMap(({ data }) => data) ?? [];
  const keys = useInfiniteQuery(apiKeysQuery(workspace.id)).data?.pages.flatMap(({ data }) => data) ?? [];
  const names = new Map<string, string>([
    ...members.map(({ user_id, email }) => [user_id, email] as const),
    ...keys.map(({ id, name }) => [id, `API key ${name}`] as const),
    [me.user.id, "you"],
  ]);
  const all = log.data?.pages.flatMap(({ data }) => data) ?? [];
  const actions = [
    ...new Set([...all.map(({ action }) => action), ...(filters.action ? [filters.action] : [])]),
  ].sort();
  const matches = (row: Row) => {
    const texts = [row.actor, names.get(row.actor ?? ""), row.subject, names.get(row.subject ?? "")];
    const whole = [...texts, row.label, row.provider, row.request_id, row.kek_id].join(" ").toLowerCase();
    return (
      (!filters.action || row.action === filters.action) &&
      (!filters.outcome || row.outcome === filters.outcome) &&
      (!filters.text || whole.includes(filters.text.toLowerCase()))
    );
  };
  const shown = all.filter(matches);
  const cut = Boolean(filters.action || filters.outcome || filters.text);
  return (
    <PageBody
      title="Audit"
      lead="Who changed what, newest first. Sequence numbers rise over the whole instance: between two of them there may be entries of others."
    >
      {log.isPending ? (
        <SkeletonRows label="Loading the audit log" />
      ) : log.isLoadingError ? (
        <ErrorState error={log.error} retry={() => log.refetch()} />
      ) : (
        <>
          <div className="grid grid-cols-2 gap-3 sm:grid-cols-3">
            <Field label="Action">
              {(control) => (
                <Select
                  control={control}
                  value={filters.action ?? ""}
                  onChange={(action) => change({ action })}
                  options={[{ value: "", label: "All" }, ...actions.map((value) => ({ value, label: value }))]}
                />
              )}
            </Field>
            <Field label="Outcome">
              {(control) => (
                <Select
                  control={control}
                  value={filters.outcome ?? ""}
                  onChange={(outcome) => change({ outcome })}
                  options={OUTCOMES}
                />
              )}
            </Field>
            <TextField
              className="col-span-2 sm:col-span-1"
              label="Person, key, id or request"
              type="search"
              value={filters.text ?? ""}
              onChange={(event) => change({ text: event.target.value })}
            />
          </div>
          {cut && (
            <p role="status" className="text-soft">
              {plural(shown.length, "entry", "entries")} of the {plural(all.length, "entry", "entries")} that were
              loaded.{log.hasNextPage && " Older ones were not looked at; show more to look further."}
            </p>
          )}
          {shown.length > 0 ? (
            <AuditTable rows={shown} names={names} />
          ) : (
            <EmptyState icon={ScrollText} title={cut ? "No such entry" : "Nothing was changed yet"}>
              {cut ? "None of the loaded entries is as you chose." : "Every change in this workspace leaves an entry."}
            </EmptyState>
          )}
          <Pager more={log.hasNextPage} busy={log.isFetchingNextPage} onMore={() => log.fetchNextPage()} />
        </>
      )}
    </PageBody>
  );
}

function AuditTable({ rows, names }: { rows: Row[]; names: Map<string, string> }) {
  return (
    <Table label="Audit log" head={["No.", "When", "Who", "Action", "Of what", "Outcome", "Request"]}>
      {rows.map((row) => (
        <tr key={row.sequence}>
          <Cell className="text-soft tabular-nums">{row.sequence}</Cell>
          <Cell>
            <Time at={row.at} />
          </Cell>
          <Cell className="max-w-56 min-w-32 break-all">
            <Name id={row.actor} names={names} none="not told" />
          </Cell>
          <Cell>
            <code className="font-mono text-xs whitespace-nowrap">{row.action}</code>
          </Cell>
          <Cell className="max-w-64 min-w-40 break-all">
            {(row.provider || row.label) && <p>{[row.provider, row.label].filter(Boolean).join(" ")}</p>}
            <Name id={row.subject} names={names} none="" />
            {row.kek_id && <p className="font-mono text-xs text-soft">sealed to {row.kek_id}</p>}
          </Cell>
          <Cell>
            <Badge tone={row.outcome === "ok" ? "ok" : "bad"}>
              {OUTCOMES.find(({ value }) => value === row.outcome)?.label ?? row.outcome}
            </Badge>
          </Cell>
          <Cell>
            <code className="font-mono text-xs text-soft">{row.request_id}</code>
          </Cell>
        </tr>
      ))}
    </Table>
  );
}

function Name({ id, names, none }: { id: string | null | undefined; names: Map<string, string>; none: string }) {
  if (!id) return <span className="text-soft">{none}</span>;
  const name = names.get(id);
  if (name) return <span title={id}>{name}</span>;
  return <code className="font-mono text-xs text-soft">{id}</code>;
}
