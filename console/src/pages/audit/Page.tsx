import { useInfiniteQuery } from "@tanstack/react-query";
import { membersQuery, useWhole } from "@/api/queries";
import { apiKeysQuery } from "@/pages/api-keys/queries";
import { AdminsOnly } from "@/shell/AdminsOnly";
import { isAtLeast, useMe, useWorkspace } from "@/shell/workspace";
import { PageBody } from "@/ui/Page";
import { AuditLog } from "./AuditLog";

/** Who did what in the workspace. */
export function Page() {
  const workspace = useWorkspace();
  if (isAtLeast(workspace.role, "admin")) return <Audit />;
  return <AdminsOnly title="Audit" what="The audit log tells who changed what." />;
}

function Audit() {
  const workspace = useWorkspace();
  const me = useMe();
  const members = useWhole(useInfiniteQuery(membersQuery(workspace.id))) ?? [];
  const keys = useWhole(useInfiniteQuery(apiKeysQuery(workspace.id))) ?? [];
  const names = new Map<string, string>([
    ...members.map(({ user_id, email }) => [user_id, email] as const),
    ...keys.map(({ id, name }) => [id, `API key ${name}`] as const),
    [me.user.id, "you"],
  ]);
  return (
    <PageBody
      title="Audit"
      lead="Who changed what, newest first. Sequence numbers rise over the whole instance: between two of them there may be entries of others."
    >
      <AuditLog
        source={{ kind: "workspace", id: workspace.id }}
        names={names}
        nothing="Every change in this workspace leaves an entry."
      />
    </PageBody>
  );
}
