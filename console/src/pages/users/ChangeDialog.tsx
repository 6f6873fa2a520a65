import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { meQuery } from "@/api/queries";
import { useMe } from "@/shell/workspace";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { toast } from "@/ui/Toaster";

/** What is about to change of somebody. */
export interface Change {
  what: "suspend" | "resume" | "promote" | "demote";
  user: Schemas["UserView"];
}

const BODIES = {
  suspend: { suspended: true },
  resume: { suspended: false },
  promote: { instance_admin: true },
  demote: { instance_admin: false },
};

/** Asks before somebody is locked out or let in, or before who manages the instance changes. */
export function ChangeDialog({ change, onClose }: { change: Change | undefined; onClose: () => void }) {
  const me = useMe();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const says = change && words(change, change.user.id === me.user.id);
  const confirm = async () => {
    if (!change || !says) return;
    const params = { path: { user_id: change.user.id } };
    await ok(api.PATCH("/api/v1/users/{user_id}", { params, body: BODIES[change.what] }));
    toast(says.done);
    if (change.user.id === me.user.id) {
      // These pages are not one's own to see any more.
      await queries.fetchQuery({ ...meQuery, staleTime: 0 });
      await navigate({ to: "/", replace: true });
    } else {
      await queries.invalidateQueries({ queryKey: ["admin", "users"] });
    }
  };
  return (
    <ConfirmDialog
      open={change !== undefined}
      onClose={onClose}
      title={says?.title ?? ""}
      action={says?.action ?? ""}
      danger={says?.danger}
      onConfirm={confirm}
    >
      {says?.text}
    </ConfirmDialog>
  );
}

interface Words {
  title: string;
  action: string;
  danger?: boolean;
  text: ReactNode;
  done: string;
}

function words({ what, user: { email } }: Change, isMe: boolean): Words {
  switch (what) {
    case "suspend":
      return {
        title: `Suspend ${email}?`,
        action: "Suspend",
        danger: true,
        text: (
          <p>
            Sessions end at once, and the API keys that this person minted are refused, and so is every API key of the
            workspaces of the account that the person owns. Nothing is deleted: all of it comes back when you let the
            person in again.
          </p>
        ),
        done: `${email} is locked out`,
      };
    case "resume":
      return {
        title: `Let ${email} in again?`,
        action: "Let in again",
        text: (
          <p>
            The person can log in, and the API keys that rest because of the suspension serve from the next call on.
          </p>
        ),
        done: `${email} may log in again`,
      };
    case "promote":
      return {
        title: `Make ${email} an admin of the instance?`,
        action: "Make admin",
        text: (
          <p>
            The person may do all that you may here, at once: settings, platform keys, plans and credits, and users,
            which means to make and to dismiss admins, you among them.
          </p>
        ),
        done: `${email} is an admin of the instance`,
      };
    case "demote":
      return {
        title: isMe ? "Step down as admin of the instance?" : `Make ${email} no admin any more?`,
        action: isMe ? "Step down" : "Make no admin",
        danger: true,
        text: isMe ? (
          <p>
            You lose these pages at once, and only another admin can bring you back. Your account, your workspaces and
            their keys stay as they are.
          </p>
        ) : (
          <p>
            The person loses these pages at once, API keys of theirs lose the scopes of the instance, and links to new
            passwords that they made end. The account and its workspaces stay as they are.
          </p>
        ),
        done: isMe ? "You are no admin of the instance any more" : `${email} is no admin of the instance any more`,
      };
  }
}
