import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { useWorkspace } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { ErrorNote } from "@/ui/ErrorNote";
import { Field } from "@/ui/Field";
import { Select } from "@/ui/Select";
import { toast } from "@/ui/Toaster";
import { type Run, VISIBILITIES } from "../studio/runs";
import { SharedLink } from "../studio/SharedLink";

/** Changes who may read a run; a link is shown this once. */
export function ShareDialog({ run, onClose }: { run: Run; onClose: () => void }) {
  const workspace = useWorkspace();
  const queries = useQueryClient();
  const [visibility, setVisibility] = useState(run.visibility);
  const share = useMutation({
    mutationFn: () => {
      const params = { path: { workspace_id: workspace.id, run_id: run.id } };
      return ok(api.PATCH("/api/v1/workspaces/{workspace_id}/runs/{run_id}", { params, body: { visibility } }));
    },
    gcTime: 0,
    onSuccess: ({ link_path }) => {
      queries.invalidateQueries({ queryKey: ["workspace", workspace.id, "runs"] });
      // The dialog stays to show the link.
      if (link_path) return;
      toast("Sharing changed", VISIBILITIES.find(({ value }) => value === visibility)?.detail);
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    share.mutate();
  };
  if (share.data?.link_path) {
    return (
      <Dialog open once onClose={onClose} title="The run has a link" description="It is shown this once.">
        <SharedLink path={share.data.link_path} />
        <DialogActions>
          <Button look="primary" onClick={onClose}>
            Done
          </Button>
        </DialogActions>
      </Dialog>
    );
  }
  const renews = run.visibility === "link";
  return (
    <Dialog open busy={share.isPending} onClose={onClose} title="Share the run">
      <form onSubmit={submit} className="flex flex-col gap-4">
        <Field
          label="Who may read it"
          hint={renews ? "It has a link. Any change here ends that link, also one to a new link." : undefined}
        >
          {(control) => <Select control={control} value={visibility} options={VISIBILITIES} onChange={setVisibility} />}
        </Field>
        {share.isError && <ErrorNote error={share.error} />}
        <DialogActions>
          <Button onClick={onClose} disabled={share.isPending}>
            Cancel
          </Button>
          <Button
            type="submit"
            look="primary"
            busy={share.isPending}
            disabled={visibility === run.visibility && !renews}
          >
            {visibility === "link" ? (renews ? "Make a new link" : "Make a link") : "Save"}
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
