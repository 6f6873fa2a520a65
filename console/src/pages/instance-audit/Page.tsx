import { useInfiniteQuery } from "@tanstack/react-query";
import { accountsQuery } from "@/pages/accounts/queries";
import { AuditLog } from "@/pages/audit/AuditLog";
import { usersQuery } from "@/pages/users/queries";
import { useMe } from "@/shell/workspace";
import { PageBody } from "@/ui/Page";

/** Who did what to the instance. */
export function Page() {
  const me = useMe();
  const users = useInfiniteQuery(usersQuery("")).data?.pages.flatMap(({ data }) => data) ?? [];
  const accounts = useInfiniteQuery(accountsQuery("")).data?.pages.flatMap(({ data }) => data) ?? [];
  const names = new Map<string, string>([
    ...accounts.map(({ id, owner_email }) => [id, `Account of ${owner_email}`] as const),
    ...users.map(({ id, email }) => [id, email] as const),
    [me.user.id, "you"],
  ]);
  return (
    <PageBody
      title="Audit"
      lead="What is about the instance and nobody's account: settings, plans, providers, platform keys, log-ins, the sealing key. Accounts and workspaces have logs of their own."
    >
      <AuditLog source={{ kind: "instance" }} names={names} nothing="Every change of the instance leaves an entry." />
    </PageBody>
  );
}
