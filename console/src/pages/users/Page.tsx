import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { UserPlus, UsersRound } from "lucide-react";
import { useState } from "react";
import { Button } from "@/ui/Button";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorState } from "@/ui/ErrorNote";
import { PageBody } from "@/ui/Page";
import { SearchField } from "@/ui/SearchField";
import { SkeletonRows } from "@/ui/Skeleton";
import { Pager } from "@/ui/Table";
import { useSearchText } from "@/ui/useSearchText";
import { NewPersonDialog } from "./NewPersonDialog";
import { usersQuery } from "./queries";
import { UserTable } from "./UserTable";

/** Who can log in to the instance. */
export function Page() {
  const { typed, text, type } = useSearchText("q");
  const users = useInfiniteQuery({ ...usersQuery(text), placeholderData: keepPreviousData });
  const [adding, setAdding] = useState(false);
  const all = users.data?.pages.flatMap(({ data }) => data) ?? [];
  return (
    <PageBody
      title="Users"
      lead="The people of this instance. Each owns one account, which has a plan and credits; what they keep in their workspaces is not shown here."
      actions={
        <Button look="primary" onClick={() => setAdding(true)}>
          <UserPlus aria-hidden="true" size={16} /> New user
        </Button>
      }
    >
      <SearchField label="Find by e-mail" value={typed} onChange={type} />
      {users.isPending ? (
        <SkeletonRows label="Loading the users" />
      ) : users.isLoadingError ? (
        <ErrorState error={users.error} retry={() => users.refetch()} />
      ) : all.length === 0 ? (
        <EmptyState
          icon={UsersRound}
          title="Nobody is called like that"
          action={<Button onClick={() => type("")}>Show all</Button>}
        >
          No e-mail of this instance holds “{text}”.
        </EmptyState>
      ) : (
        <>
          <UserTable users={all} />
          <Pager more={users.hasNextPage} busy={users.isFetchingNextPage} onMore={() => users.fetchNextPage()} />
        </>
      )}
      {adding && <NewPersonDialog onClose={() => setAdding(false)} />}
    </PageBody>
  );
}
