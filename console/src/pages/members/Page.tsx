import { useInfiniteQuery } from "@tanstack/react-query";
import { UserPlus } from "lucide-react";
import { membersQuery } from "@/api/queries";
import { useNewDialog } from "@/shell/newDialog";
import { isAtLeast, useWorkspace } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import { ErrorState } from "@/ui/ErrorNote";
import { PageBody } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { Pager } from "@/ui/Table";
import { Invitations } from "./Invitations";
import { InviteDialog } from "./InviteDialog";
import { MemberTable } from "./MemberTable";

/** The people of the workspace, and those who are invited. */
export function Page() {
  const workspace = useWorkspace();
  const mayWrite = isAtLeast(workspace.role, "admin");
  const members = useInfiniteQuery(membersQuery(workspace.id));
  const [inviting, setInviting] = useNewDialog();
  return (
    <PageBody
      title="Members"
      lead="Members call models and see what the workspace has. Admins manage members, keys and who pays. The owner's account is the one that pays."
      actions={
        mayWrite && (
          <Button look="primary" onClick={() => setInviting(true)}>
            <UserPlus aria-hidden="true" size={16} /> Invite
          </Button>
        )
      }
    >
      {members.isPending ? (
        <SkeletonRows label="Loading the members" />
      ) : members.isLoadingError ? (
        <ErrorState error={members.error} retry={() => members.refetch()} />
      ) : (
        <>
          <MemberTable members={members.data.pages.flatMap(({ data }) => data)} mayWrite={mayWrite} />
          <Pager more={members.hasNextPage} busy={members.isFetchingNextPage} onMore={() => members.fetchNextPage()} />
        </>
      )}
      <Invitations mayWrite={mayWrite} />
      {inviting && mayWrite && <InviteDialog onClose={() => setInviting(false)} />}
    </PageBody>
  );
}
