import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { meQuery } from "@/api/queries";
import { Button } from "@/ui/Button";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { ErrorNote } from "@/ui/ErrorNote";
import { TextField } from "@/ui/Field";

/** Asks for a name and makes a workspace. */
export function NewWorkspaceDialog({
  open,
  onClose,
  onCreated,
}: {
  open: boolean;
  onClose: () => void;
  onCreated: (id: string) => void;
}) {
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const create = useMutation({
    mutationFn: () => ok(api.POST("/api/v1/workspaces", { body: { name: name.trim() } })),
    onSuccess: async ({ id }) => {
      await queries.invalidateQueries(meQuery);
      close();
      onCreated(id);
    },
  });
  const close = () => {
    setName("");
    create.reset();
    onClose();
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  return (
    <Dialog
      open={open}
      busy={create.isPending}
      onClose={close}
      title="New workspace"
      description="It has its own keys, members and policy, and belongs to your account."
    >
      <form onSubmit={submit} className="flex flex-col gap-4">
        <TextField
          label="Name"
          value={name}
          required
          maxLength={100}
          autoComplete="off"
          onChange={(event) => setName(event.target.value)}
        />
        {create.isError && <ErrorNote error={create.error} />}
        <DialogActions>
          <Button onClick={close} disabled={create.isPending}>
            Cancel
          </Button>
          <Button type="submit" look="primary" busy={create.isPending} disabled={name.trim() === ""}>
            Create workspace
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
