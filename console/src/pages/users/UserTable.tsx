import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { useMe } from "@/shell/workspace";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { ActionCell, Cell, Table } from "@/ui/Table";
import { Time } from "@/ui/Time";
import { toast } from "@/ui/Toaster";

type User = Schemas["UserView"];

/** People, each with the way to the account and with the lock. */
export function UserTable({ users }: { users: User[] }) {
  const me = useMe();
  const queries = useQueryClient();
  const [changing, setChanging] = useState<User>();
  const suspends = changing?.suspended === false;
  const change = async () => {
    if (!changing) return;
    const params = { path: { user_id: changing.id } };
    await ok(api.PATCH("/api/v1/users/{user_id}", { params, body: { suspended: suspends } }));
    await queries.invalidateQueries({ queryKey: ["admin", "users"] });
    toast(suspends ? `${changing.email} is locked out` : `${changing.email} may log in again`);
  };
  return (
    <>
      <Table label="Users" head={["Person", "Added", "Account"]} actions>
        {users.map((user) => (
          <tr key={user.id}>
            <Cell>
              <span className="flex min-w-40 flex-wrap items-center gap-x-2 gap-y-1">
                <span className="font-medium break-all">{user.email}</span>
                {user.id === me.user.id && <Badge tone="accent">You</Badge>}
                {user.instance_admin && <Badge>Admin of the instance</Badge>}
                {user.suspended && <Badge tone="bad">Suspended</Badge>}
              </span>
            </Cell>
            <Cell>
              <Time at={user.created_at} />
            </Cell>
            <Cell>
              <Link
                to={`/admin/accounts/${user.account_id}`}
                aria-label={`Account of ${user.email}`}
                className="whitespace-nowrap text-accent-text underline-offset-2 hover:underline"
              >
                Plan and credits
              </Link>
            </Cell>
            <ActionCell>
              {user.id !== me.user.id && (
                <Button
                  size="small"
                  look={user.suspended ? "secondary" : "danger"}
                  aria-label={`${user.suspended ? "Let in" : "Suspend"} ${user.email}`}
                  onClick={() => setChanging(user)}
                >
                  {user.suspended ? "Let in again" : "Suspend"}
                </Button>
              )}
            </ActionCell>
          </tr>
        ))}
      </Table>
      <ConfirmDialog
        open={changing !== undefined}
        onClose={() => setChanging(undefined)}
        title={suspends ? `Suspend ${changing?.email}?` : `Let ${changing?.email} in again?`}
        action={suspends ? "Suspend" : "Let in again"}
        danger={suspends}
        onConfirm={change}
      >
        {suspends ? (
          <p>
            Sessions end at once, and the API keys that this person minted are refused, and so is every API key of the
            workspaces of the account that the person owns. Nothing is deleted: all of it comes back when you let the
            person in again.
          </p>
        ) : (
          <p>
            The person can log in, and the API keys that rest because of the suspension serve from the next call on.
          </p>
        )}
      </ConfirmDialog>
    </>
  );
}
