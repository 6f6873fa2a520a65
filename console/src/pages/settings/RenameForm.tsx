import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { meQuery } from "@/api/queries";
import { Button } from "@/ui/Button";
import { ErrorNote } from "@/ui/ErrorNote";
import { TextField } from "@/ui/Field";
import { Card, Section } from "@/ui/Page";
import { toast } from "@/ui/Toaster";
import { useUnsaved } from "@/ui/Unsaved";

/** Gives the workspace another name. */
export function RenameForm({ workspace }: { workspace: Schemas["OwnWorkspace"] }) {
  const queries = useQueryClient();
  const [name, setName] = useState(workspace.name);
  const rename = useMutation({
    mutationFn: () => {
      const params = { path: { workspace_id: workspace.id } };
      return ok(api.PATCH("/api/v1/workspaces/{workspace_id}", { params, body: { name: name.trim() } }));
    },
    onSuccess: async () => {
      await queries.invalidateQueries(meQuery);
      toast("Name changed");
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    rename.mutate();
  };
  const isSame = name.trim() === workspace.name || name.trim() === "";
  useUnsaved(!isSame);
  return (
    <Section title="Name">
      <Card className="p-4">
        <form onSubmit={submit} className="flex flex-col gap-4">
          <TextField
            className="max-w-md"
            label="Workspace name"
            hint="All members see it"
            value={name}
            required
            maxLength={100}
            autoComplete="off"
            onChange={(event) => setName(event.target.value)}
          />
          {rename.isError && <ErrorNote error={rename.error} />}
          <div>
            <Button type="submit" look="primary" busy={rename.isPending} disabled={isSame}>
              Save
            </Button>
          </div>
        </form>
      </Card>
    </Section>
  );
}
