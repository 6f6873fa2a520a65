import { useInfiniteQuery } from "@tanstack/react-query";
import { History } from "lucide-react";
import { auditQuery } from "@/pages/audit/queries";
import { usersQuery } from "@/pages/users/queries";
import { useMe } from "@/shell/workspace";
import { Badge } from "@/ui/Badge";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorState } from "@/ui/ErrorNote";
import { SkeletonRows } from "@/ui/Skeleton";
import { Cell, Pager, Table } from "@/ui/Table";
import { Time } from "@/ui/Time";

/** The sealing keys that there were, as the audit log tells. */
export function Rotations({ current }: { current: string | undefined }) {
  const me = useMe();
  const rotations = useInfiniteQuery(auditQuery({ kind: "instance" }, { action: "sealing_key.rotate" }));
  const users = useInfiniteQuery(usersQuery("")).data?.pages.flatMap(({ data }) => data) ?? [];
  const who = (actor: string | null | undefined) => {
    if (actor === "system") return "By itself";
    if (actor === me.user.id) return "You";
    const known = users.find(({ id }) => id === actor);
    return known?.email ?? <code className="font-mono text-xs text-soft">{actor}</code>;
  };
  if (rotations.isPending) return <SkeletonRows rows={2} label="Loading the history" />;
  if (rotations.isLoadingError) return <ErrorState error={rotations.error} retry={() => rotations.refetch()} />;
  const rows = rotations.data.pages.flatMap(({ data }) => data);
  return (
    <>
      {rows.length === 0 ? (
        <EmptyState icon={History} title="No key is told of">
          The audit log holds no entry of a sealing key.
        </EmptyState>
      ) : (
        <Table label="History" head={["Since", "By whom", "Sealing key"]}>
          {rows.map((row) => (
            <tr key={row.sequence}>
              <Cell>
                <Time at={row.at} />
              </Cell>
              <Cell className="min-w-32 break-all">{who(row.actor)}</Cell>
              <Cell>
                <span className="flex flex-wrap items-center gap-x-2 gap-y-1">
                  <code className="font-mono text-xs break-all">{row.kek_id}</code>
                  {row.outcome !== "ok" ? (
                    <Badge tone="bad">Refused</Badge>
                  ) : (
                    row.kek_id === current && <Badge tone="ok">Current</Badge>
                  )}
                </span>
              </Cell>
            </tr>
          ))}
        </Table>
      )}
      <Pager
        more={rotations.hasNextPage}
        busy={rotations.isFetchingNextPage}
        onMore={() => rotations.fetchNextPage()}
      />
    </>
  );
}
