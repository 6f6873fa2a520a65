import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Schemas } from "@/api/client";
import { useMe } from "@/shell/workspace";
import { Badge } from "@/ui/Badge";
import { Menu, MenuItem, MenuSeparator } from "@/ui/Menu";
import { ActionCell, Cell, Table } from "@/ui/Table";
import { Time } from "@/ui/Time";
import { type Change, ChangeDialog } from "./ChangeDialog";
import { PasswordLinkDialog } from "./PasswordLinkDialog";

type User = Schemas["UserView"];

/** People, each with the way to the account and with what an admin can do for or about them. */
export function UserTable({ users }: { users: User[] }) {
  const me = useMe();
  const [changing, setChanging] = useState<Change>();
  const [linking, setLinking] = useState<User>();
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
              <UserMenu
                user={user}
                isMe={user.id === me.user.id}
                onChange={(what) => setChanging({ what, user })}
                onLink={() => setLinking(user)}
              />
            </ActionCell>
          </tr>
        ))}
      </Table>
      <ChangeDialog change={changing} onClose={() => setChanging(undefined)} />
      {linking && <PasswordLinkDialog user={linking} onClose={() => setLinking(undefined)} />}
    </>
  );
}

/** What can be done. Nobody suspends themselves, or makes a link for themselves; who is suspended becomes no admin. */
function UserMenu({
  user,
  isMe,
  onChange,
  onLink,
}: {
  user: User;
  isMe: boolean;
  onChange: (what: Change["what"]) => void;
  onLink: () => void;
}) {
  return (
    <Menu label={`Actions for ${user.email}`}>
      {!isMe && !user.suspended && <MenuItem onClick={onLink}>Password link</MenuItem>}
      {!user.instance_admin && !user.suspended && (
        <MenuItem onClick={() => onChange("promote")}>Make admin of the instance</MenuItem>
      )}
      {user.instance_admin && (
        <MenuItem danger={isMe} onClick={() => onChange("demote")}>
          {isMe ? "Step down as admin" : "Make no admin any more"}
        </MenuItem>
      )}
      {!isMe && !user.suspended && <MenuSeparator />}
      {!isMe && !user.suspended && (
        <MenuItem danger onClick={() => onChange("suspend")}>
          Suspend
        </MenuItem>
      )}
      {!isMe && user.suspended && <MenuItem onClick={() => onChange("resume")}>Let in again</MenuItem>}
    </Menu>
  );
}
