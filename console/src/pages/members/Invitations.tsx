import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { useWorkspace } from "@/shell/workspace";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { ErrorState } from "@/ui/ErrorNote";
import { Section } from "@/ui/Page";
import { ActionCell, Cell, Pager, Table } from "@/ui/Table";
import { Time } from "@/ui/Time";
import { toast } from "@/ui/Toaster";
import { invitationsQuery } from "./queries";

type Invitation = Schemas["InvitationView"];

/** Who is invited and has not come yet. */
export function Invitations({ mayWrite }: { mayWrite: boolean }) {
  const workspace = useWorkspace();
  const queries = useQueryClient();
  const invitations = useInfiniteQuery(invitationsQuery(workspace.id));
  const [revoking, setRevoking] = useState<Invitation>();
  const open = invitations.data?.pages.flatMap(({ data }) => data).filter(({ accepted_at }) => !accepted_at) ?? [];
  const revoke = async () => {
    if (!revoking) return;
    const params = { path: { workspace_id: workspace.id, invitation_id: revoking.id } };
    await ok(api.DELETE("/api/v1/workspaces/{workspace_id}/invitations/{invitation_id}", { params }));
    await queries.invalidateQueries(invitationsQuery(workspace.id));
    toast(`The invitation of ${revoking.email} is revoked`);
  };
  if (invitations.isLoadingError) {
    return (
      <Section title="Invitations">
        <ErrorState error={invitations.error} retry={() => invitations.refetch()} />
      </Section>
    );
  }
  if (open.length === 0 && !invitations.hasNextPage) return null;
  return (
    <Section title="Invitations" lead="They have not been taken up yet.">
      <Table label="Invitations" head={["Person", "Role", "Expires"]} actions>
        {open.map((invitation) => (
          <tr key={invitation.id}>
            <Cell className="min-w-48 font-medium wrap-anywhere">{invitation.email}</Cell>
            <Cell className="capitalize">{invitation.role}</Cell>
            <Cell>
              {Date.parse(invitation.expires_at) < Date.now() ? (
                <Badge tone="warn">Ended</Badge>
              ) : (
                <Time at={invitation.expires_at} />
              )}
            </Cell>
            <ActionCell>
              {mayWrite && (
                <Button
                  size="small"
                  look="danger"
                  aria-label={`Revoke the invitation of ${invitation.email}`}
                  onClick={() => setRevoking(invitation)}
                >
                  Revoke
                </Button>
              )}
            </ActionCell>
          </tr>
        ))}
      </Table>
      <Pager
        more={invitations.hasNextPage}
        busy={invitations.isFetchingNextPage}
        onMore={() => invitations.fetchNextPage()}
      />
      <ConfirmDialog
        open={revoking !== undefined}
        onClose={() => setRevoking(undefined)}
        title={`Revoke the invitation of ${revoking?.email}?`}
        action="Revoke"
        danger
        onConfirm={revoke}
      >
        <p>Its link stops working at once.</p>
      </ConfirmDialog>
    </Section>
  );
}
