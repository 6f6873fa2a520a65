import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { type Tagged, useGuardedForm } from "@/api/guarded";
import { bytes } from "@/format/number";
import { useWorkspace } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import { CodeBlock } from "@/ui/Copy";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { ErrorState } from "@/ui/ErrorNote";
import { Field, inputClass, TextField } from "@/ui/Field";
import { SaveFault } from "@/ui/SaveFault";
import { Select } from "@/ui/Select";
import { SkeletonRows } from "@/ui/Skeleton";
import { toast } from "@/ui/Toaster";
import { NameField } from "./parts";
import { fetchScript, type Script, scriptsQuery } from "./queries";
import { optionsOf, RUNS } from "./words";

interface Form {
  name: string;
  run_on: Script["run_on"];
  order: string;
  content: string;
}

const NAMES: Record<keyof Form, string> = { name: "Name", run_on: "Runs", order: "Order", content: "Text" };

const NEW: Form = { name: "", run_on: "every_start", order: "0", content: "#!/bin/sh\nset -eu\n" };

/** As the server counts it: one letter of many alphabets is more than one byte. */
const MAX_BYTES = 64 * 1024;

const formOf = ({ name, run_on, order, content }: Script): Form => ({
  name,
  run_on,
  order: String(order),
  content: content ?? "",
});

/** Makes a script, edits one, or shows it to who may not. */
export function ScriptDialog({
  script,
  mayWrite,
  onClose,
}: {
  script: Script | undefined;
  mayWrite: boolean;
  onClose: () => void;
}) {
  const workspace = useWorkspace();
  const [busy, setBusy] = useState(false);
  // With its text, which the list has not, and as it is now.
  const read = useQuery({
    queryKey: ["workspace", workspace.id, "scripts", script?.id ?? ""],
    queryFn: ({ signal }) => fetchScript(workspace.id, script?.id ?? "", signal),
    enabled: script !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnMount: "always",
    gcTime: 0,
  });
  const first = script
    ? read.data && { form: formOf(read.data.script), etag: read.data.etag }
    : { form: NEW, etag: null };
  const title = script ? (mayWrite ? `Edit the script ${script.name}` : `The script ${script.name}`) : "New script";
  return (
    <Dialog open wide once={mayWrite} busy={busy} onClose={onClose} title={title}>
      {read.isLoadingError ? (
        <ErrorState error={read.error} retry={() => read.refetch()} />
      ) : !first ? (
        <SkeletonRows label="Loading the script" rows={4} />
      ) : mayWrite ? (
        <Fields id={script?.id} first={first} setBusy={setBusy} onClose={onClose} />
      ) : (
        <CodeBlock name={RUNS[first.form.run_on].label} text={first.form.content} />
      )}
    </Dialog>
  );
}

function Fields({
  id,
  first,
  setBusy,
  onClose,
}: {
  id: string | undefined;
  first: Tagged<Form>;
  setBusy: (busy: boolean) => void;
  onClose: () => void;
}) {
  const workspace = useWorkspace();
  const queries = useQueryClient();
  const { form, set, save, theirs } = useGuardedForm({
    first,
    readAgain: async () => {
      const now = await fetchScript(workspace.id, id ?? "");
      return { form: formOf(now.script), etag: now.etag };
    },
    write: ({ name, run_on, order, content }, _, header) => {
      const body = { name: name.trim(), run_on, order: Number(order), content };
      if (!id) {
        const params = { path: { workspace_id: workspace.id } };
        return ok(api.POST("/api/v1/workspaces/{workspace_id}/scripts", { params, body }));
      }
      const params = { path: { workspace_id: workspace.id, script_id: id }, header };
      return ok(api.PATCH("/api/v1/workspaces/{workspace_id}/scripts/{script_id}", { params, body }));
    },
    onSaved: async (saved) => {
      await queries.invalidateQueries({ ...scriptsQuery(workspace.id), exact: true });
      toast(`The script ${saved.name} is saved`, "Machines run it at their next start.");
      onClose();
    },
    setBusy,
  });
  const length = new TextEncoder().encode(form.content).length;
  const tooLong =
    length > MAX_BYTES ? `It has ${bytes(length)}; at most ${bytes(MAX_BYTES)} can be stored.` : undefined;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <div className="grid gap-4 sm:grid-cols-[2fr_2fr_1fr]">
        <NameField name={form.name} onChange={(name) => set({ name })} />
        <Field label="Runs">
          {(control) => (
            <Select
              control={control}
              value={form.run_on}
              onChange={(run_on) => set({ run_on })}
              options={optionsOf(RUNS)}
            />
          )}
        </Field>
        <TextField
          label="Order"
          hint="Lower ones first"
          type="number"
          min={0}
          max={9999}
          step={1}
          required
          value={form.order}
          onChange={(event) => set({ order: event.target.value })}
        />
      </div>
      <Field
        label="Text"
        hint="A first line that begins with #! says what reads it; without one sh does. Members see it: no place for secrets."
        error={tooLong}
      >
        {(control) => (
          <textarea
            {...control}
            className={`${inputClass} h-auto py-2 font-mono text-xs leading-5 whitespace-pre sm:text-xs`}
            rows={14}
            required
            value={form.content}
            autoComplete="off"
            spellCheck={false}
            onChange={(event) => set({ content: event.target.value })}
          />
        )}
      </Field>
      <SaveFault what="script" theirs={theirs?.map((field) => NAMES[field])} error={save.error} />
      <DialogActions>
        <Button onClick={onClose} disabled={save.isPending}>
          Cancel
        </Button>
        <Button
          type="submit"
          look="primary"
          busy={save.isPending}
          disabled={form.name.trim() === "" || form.content === "" || tooLong !== undefined}
        >
          {id ? "Save" : "Make script"}
        </Button>
      </DialogActions>
    </form>
  );
}
