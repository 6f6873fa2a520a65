import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, ok } from "@/api/client";
import { meQuery } from "@/api/queries";
import { isAtLeast, useWorkspace } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { CopyButton } from "@/ui/Copy";
import { DangerItem, DangerZone } from "@/ui/Danger";
import { Card, PageBody, Section } from "@/ui/Page";
import { toast } from "@/ui/Toaster";
import { ReleaseItem } from "./ReleaseItem";
import { RenameForm } from "./RenameForm";

/** The workspace's name, its ids, and how to be rid of it. */
export function Page() {
  const workspace = useWorkspace();
  return (
    <PageBody title="Settings">
      {isAtLeast(workspace.role, "admin") && <RenameForm workspace={workspace} />}
      <Section title="Ids" lead="For the API and the command line.">
        <Card>
          <dl className="divide-y divide-line">
            <Id name="Workspace" id={workspace.id} />
            <Id name="Account" id={workspace.account_id} />
          </dl>
        </Card>
      </Section>
      {isAtLeast(workspace.role, "admin") && <ReleaseItem />}
      <DangerZone>{workspace.role === "owner" ? <DeleteItem /> : <LeaveItem />}</DangerZone>
    </PageBody>
  );
}

function Id({ name, id }: { name: string; id: string }) {
  return (
    <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1 px-4 py-3">
      <dt className="text-soft">{name}</dt>
      <dd className="flex min-w-0 items-center gap-3">
        <code className="font-mono text-xs break-all">{id}</code>
        <CopyButton text={id} name={`the id of the ${name.toLowerCase()}`} />
      </dd>
    </div>
  );
}

/** Goes on where there is something left to see. */
function useGone() {
  const { id } = useWorkspace();
  const queries = useQueryClient();
  const navigate = useNavigate();
  return async (said: string) => {
    queries.setQueryData(
      meQuery.queryKey,
      (me) => me && { ...me, workspaces: me.workspaces.filter((workspace) => workspace.id !== id) },
    );
    await navigate({ to: "/", replace: true });
    queries.removeQueries({ queryKey: ["workspace", id] });
    void queries.invalidateQueries(meQuery);
    toast(said);
  };
}

function DeleteItem() {
  const workspace = useWorkspace();
  const gone = useGone();
  const [open, setOpen] = useState(false);
  const remove = async () => {
    await ok(api.DELETE("/api/v1/workspaces/{workspace_id}", { params: { path: { workspace_id: workspace.id } } }));
    await gone(`${workspace.name} is deleted`);
  };
  return (
    <DangerItem
      title="Delete this workspace"
      action={
        <Button look="danger" onClick={() => setOpen(true)}>
          Delete workspace
        </Button>
      }
    >
      Its provider keys and API keys are deleted with it, and its members lose it. This cannot be taken back.
      <ConfirmDialog
        open={open}
        onClose={() => setOpen(false)}
        title={`Delete ${workspace.name}?`}
        action="Delete workspace"
        danger
        typed={workspace.name}
        onConfirm={remove}
      >
        <p>
          Every call with its API keys is refused from the next one on, and its provider keys are deleted here. At their
          providers they stay valid until you revoke them there.
        </p>
      </ConfirmDialog>
    </DangerItem>
  );
}

function LeaveItem() {
  const workspace = useWorkspace();
  const gone = useGone();
  const [open, setOpen] = useState(false);
  const leave = async () => {
    const params = { path: { workspace_id: workspace.id } };
    await ok(api.POST("/api/v1/workspaces/{workspace_id}/leave", { params }));
    await gone(`You left ${workspace.name}`);
  };
  return (
    <DangerItem
      title="Leave this workspace"
      action={
        <Button look="danger" onClick={() => setOpen(true)}>
          Leave workspace
        </Button>
      }
    >
      The API keys that you minted here stop working. An admin can invite you again.
      <ConfirmDialog
        open={open}
        onClose={() => setOpen(false)}
        title={`Leave ${workspace.name}?`}
        action="Leave workspace"
        danger
        onConfirm={leave}
      >
        <p>You lose sight of it at once.</p>
      </ConfirmDialog>
    </DangerItem>
  );
}
