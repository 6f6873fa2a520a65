import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { WalletCards } from "lucide-react";
import { plansQuery } from "@/api/admin";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorState } from "@/ui/ErrorNote";
import { PageBody } from "@/ui/Page";
import { SearchField } from "@/ui/SearchField";
import { SkeletonRows } from "@/ui/Skeleton";
import { Cell, Pager, Table } from "@/ui/Table";
import { Time } from "@/ui/Time";
import { useSearchText } from "@/ui/useSearchText";
import { accountsQuery } from "./queries";

/** Who pays: the accounts, each with its plan. */
export function Page() {
  const { typed, text, type } = useSearchText("q");
  const accounts = useInfiniteQuery({ ...accountsQuery(text), placeholderData: keepPreviousData });
  const plans = useQuery(plansQuery);
  const all = accounts.data?.pages.flatMap(({ data }) => data) ?? [];
  const planName = (id: string) => plans.data?.find((plan) => plan.id === id)?.name ?? id;
  return (
    <PageBody
      title="Accounts"
      lead="An account pays for all workspaces of its owner. Open one to see its credits, give it some, or change its plan."
    >
      <SearchField label="Find by e-mail" value={typed} onChange={type} />
      {accounts.isPending ? (
        <SkeletonRows label="Loading the accounts" />
      ) : accounts.isLoadingError ? (
        <ErrorState error={accounts.error} retry={() => accounts.refetch()} />
      ) : all.length === 0 ? (
        <EmptyState
          icon={WalletCards}
          title="No account is called like that"
          action={<Button onClick={() => type("")}>Show all</Button>}
        >
          No e-mail of an owner holds “{text}”.
        </EmptyState>
      ) : (
        <>
          <Table label="Accounts" head={["Owner", "Plan", "Made"]}>
            {all.map((account) => (
              <tr key={account.id}>
                <Cell className="min-w-48 wrap-anywhere">
                  <Link
                    to={`/admin/accounts/${account.id}`}
                    className="font-medium text-accent-text underline-offset-2 hover:underline"
                  >
                    {account.owner_email}
                  </Link>
                  {account.name !== account.owner_email && (
                    <span className="block text-xs text-soft">{account.name}</span>
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
