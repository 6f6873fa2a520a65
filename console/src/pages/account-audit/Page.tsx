import { AuditLog } from "@/pages/audit/AuditLog";
import { useMe } from "@/shell/workspace";
import { PageBody } from "@/ui/Page";

/** Who did what with one's account. */
export function Page() {
  const { user, workspaces } = useMe();
  const names = new Map<string, string>([
    ...workspaces.map(({ id, name }) => [id, `Workspace ${name}`] as const),
    [user.account_id, "your account"],
    [user.id, "you"],
  ]);
  return (
    <PageBody
      title="Audit"
      lead="What was done with your account: personal keys, credits, plan, defaults, workspaces. What happens inside a workspace stands in its own log."
    >
      <AuditLog
        source={{ kind: "account", id: user.account_id }}
        names={names}
        nothing="Every change of your account leaves an entry."
      />
    </PageBody>
  );
}
