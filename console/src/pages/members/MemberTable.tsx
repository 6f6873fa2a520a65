import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { membersQuery } from "@/api/queries";
import { useMe, useWorkspace } from "@/shell/workspace";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { Select } from "@/ui/Select";
import { ActionCell, Cell, Table } from "@/ui/Table";
import { Time } from "@/ui/Time";
import { toast, toastError } from "@/ui/Toaster";
import { type GivenRole, ROLES } from "./roles";

type Member = Schemas["MemberView"];

/** Members with their roles, which admins change here. */
export function MemberTable({ members, mayWrite }: { members: Member[]; mayWrite: boolean }) {
  const me = useMe();
  const workspace = useWorkspace();
  const queries = useQueryClient();
  const [removing, setRemoving] = useState<Member>();
  const refresh = () => queries.invalidateQueries(membersQuery(workspace.id));
  const path = (member: Member) => ({ path: { workspace_id: workspace.id, user_id: member.user_id } });
  const change = useMutation({
    mutationFn: ({ member, role }: { member: Member; role: GivenRole }) =>
      ok(api.PATCH("/api/v1/workspaces/{workspace_id}/members/{user_id}", { params: path(member), body: { role } })),
    onSuccess: (_, { member, role }) => toast(`${member.email} is ${role === "admin" ? "an admin" : "a member"} now`),
    onError: toastError,
    onSettled: refresh,
  });
  const remove = async () => {
    if (!removing) return;
    await ok(api.DELETE("/api/v1/workspaces/{workspace_id}/members/{user_id}", { params: path(removing) }));
    await refresh();
    toast(`${removing.email} is no member any more`);
  };
  const changes = (member: Member) => mayWrite && member.role !== "owner" && member.user_id !== me.user.id;
  return (
    <>
      <Table label="Members" head={["Person", "Role", "Joined"]} actions>
        {members.map((member) => (
          <tr key={member.user_id}>
            <Cell className="min-w-48">
              <span className="font-medium wrap-anywhere">{member.email}</span>{" "}
              {member.user_id === me.user.id && <Badge tone="accent">You</Badge>}
            </Cell>
            <Cell className="min-w-32">
              {changes(member) ? (
                <Select
                  label={`Role of ${member.email}`}
                  value={member.role as GivenRole}
                  options={ROLES}
                  disabled={change.isPending}
                  onChange={(role) => change.mutate({ member, role })}
                />
              ) : (
                <span className="capitalize">{member.role}</span>
              )}
            </Cell>
            <Cell>
              <Time at={member.created_at} />
            </Cell>
            <ActionCell>
              {changes(member) && (
                <Button
                  size="small"
                  look="danger"
                  aria-label={`Remove ${member.email}`}
                  onClick={() => setRemoving(member)}
                >
                  Remove
                </Button>
              )}
            </ActionCell>
          </tr>
        ))}
      </Table>
      <ConfirmDialog
        open={removing !== undefined}
        onClose={() => setRemoving(undefined)}
        title={`Remove ${removing?.email}?`}
        action="Remove"
        danger
        onConfirm={remove}
      >
        <p>The API keys that this person minted here stop with the next call. The person can be invited again.</p>
      </ConfirmDialog>
    </>
  );
}
