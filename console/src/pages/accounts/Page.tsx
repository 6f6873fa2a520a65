import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { plansQuery } from "@/api/admin";
import { Badge } from "@/ui/Badge";
import { ErrorState } from "@/ui/ErrorNote";
import { PageBody } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { Cell, Pager, Table } from "@/ui/Table";
import { Time } from "@/ui/Time";
import { accountsQuery } from "./queries";

/** Who pays: the accounts, each with its plan. */
export function Page() {
  const accounts = useInfiniteQuery(accountsQuery);
  const plans = useQuery(plansQuery);
  const all = accounts.data?.pages.flatMap(({ data }) => data) ?? [];
  const planName = (id: string) => plans.data?.find((plan) => plan.id === id)?.name ?? id;
  return (
    <PageBody
      title="Accounts"
      lead="An account pays for all workspaces of its owner. Open one to see its credits, give it some, or change its plan. To find one by e-mail, go to Users."
    >
      {accounts.isPending ? (
        <SkeletonRows label="Loading the accounts" />
      ) : accounts.isLoadingError ? (
        <ErrorState error={accounts.error} retry={() => accounts.refetch()} />
      ) : (
        <>
          <Table label="Accounts" head={["Owner", "Plan", "Made"]}>
            {all.map((account) => (
              <tr key={account.id}>
                <Cell>
                  <Link
                    to={`/admin/accounts/${account.id}`}
                    className="font-medium break-all text-accent-text underline-offset-2 hover:underline"
                  >
                    {account.owner_email}
                  </Link>
                  {account.name !== account.owner_email && (
                    <span className="block text-xs text-soft break-all">{account.name}</span>
                  )}
                </Cell>
                <Cell>
                  <Badge>{planName(account.plan)}</Badge>
                </Cell>
                <Cell>
                  <Time at={account.created_at} />
                </Cell>
              </tr>
            ))}
          </Table>
          <Pager
            more={accounts.hasNextPage}
            busy={accounts.isFetchingNextPage}
            onMore={() => accounts.fetchNextPage()}
          />
        </>
      )}
    </PageBody>
  );
}
