import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { useWorkspace } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import { CodeBlock } from "@/ui/Copy";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { ErrorNote } from "@/ui/ErrorNote";
import { Field, TextField } from "@/ui/Field";
import { Select } from "@/ui/Select";
import { Time } from "@/ui/Time";
import { invitationsQuery } from "./queries";
import { type GivenRole, ROLES } from "./roles";

/** Invites somebody; no mail is sent, so it ends with the link to hand over. */
export function InviteDialog({ onClose }: { onClose: () => void }) {
  const workspace = useWorkspace();
  const queries = useQueryClient();
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<GivenRole>("member");
  const invite = useMutation({
    mutationFn: () => {
      const params = { path: { workspace_id: workspace.id } };
      return ok(
        api.POST("/api/v1/workspaces/{workspace_id}/invitations", { params, body: { email: email.trim(), role } }),
      );
    },
    gcTime: 0,
    onSuccess: () => queries.invalidateQueries(invitationsQuery(workspace.id)),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    invite.mutate();
  };
  if (invite.data) {
    return (
      <Dialog
        open
        onClose={onClose}
        once
        title={`${invite.data.email} is invited`}
        description="No mail is sent: hand this link over yourself. It is shown this once."
      >
        <CodeBlock
          wrap
          name="Invitation link"
          text={`${window.location.origin}/console/join#token=${invite.data.token}`}
        />
        <p className="mt-3 text-xs text-soft">
          It works once and ends <Time at={invite.data.expires_at} />. Whoever has it can join as {invite.data.email}.
        </p>
        <DialogActions>
          <Button look="primary" onClick={onClose}>
            Done
          </Button>
        </DialogActions>
      </Dialog>
    );
  }
  return (
    <Dialog open busy={invite.isPending} onClose={onClose} title={`Invite to ${workspace.name}`}>
      <form onSubmit={submit} className="flex flex-col gap-4">
        <TextField
          label="E-mail"
          type="email"
          required
          maxLength={254}
          autoComplete="off"
          value={email}
          onChange={(event) => setEmail(event.target.value)}
        />
        <Field label="Role">
          {(control) => <Select control={control} value={role} options={ROLES} onChange={setRole} />}
        </Field>
        {invite.isError && <ErrorNote error={invite.error} />}
        <DialogActions>
          <Button onClick={onClose} disabled={invite.isPending}>
            Cancel
          </Button>
          <Button type="submit" look="primary" busy={invite.isPending} disabled={email.trim() === ""}>
            Invite
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
