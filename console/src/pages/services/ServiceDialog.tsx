import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus, Trash2 } from "lucide-react";
import { type FormEvent, useRef, useState } from "react";
import { api, ok } from "@/api/client";
import { type Tagged, useGuardedForm } from "@/api/guarded";
import { useWorkspace } from "@/shell/workspace";
import { Button, IconButton } from "@/ui/Button";
import { Checkbox } from "@/ui/Checkbox";
import { CodeBlock } from "@/ui/Copy";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { ErrorState } from "@/ui/ErrorNote";
import { Field, focusFault, inputClass, TextField } from "@/ui/Field";
import { SaveFault } from "@/ui/SaveFault";
import { Select } from "@/ui/Select";
import { SkeletonRows } from "@/ui/Skeleton";
import { toast } from "@/ui/Toaster";
import { lineOf, wordsOf } from "./command";
import { NameField } from "./parts";
import { fetchService, type Service, servicesQuery } from "./queries";
import { envOf, type Variable, variablesOf } from "./variables";
import { optionsOf, RESTARTS } from "./words";

interface Form {
  name: string;
  command: string;
  variables: Variable[];
  restart: Service["restart"];
  auto_enable: boolean;
}

const NAMES: Record<keyof Form, string> = {
  name: "Name",
  command: "Command",
  variables: "Variables",
  restart: "Started again",
  auto_enable: "Starts by itself",
};

const NEW: Form = { name: "", command: "", variables: [], restart: "on-failure", auto_enable: true };

const formOf = ({ name, command, env, restart, auto_enable }: Service): Form => ({
  name,
  command: lineOf(command),
  variables: variablesOf(env),
  restart,
  auto_enable,
});

/** Makes a service, edits one, or shows it to who may not. */
export function ServiceDialog({
  service,
  mayWrite,
  onClose,
}: {
  service: Service | undefined;
  mayWrite: boolean;
  onClose: () => void;
}) {
  const workspace = useWorkspace();
  const [busy, setBusy] = useState(false);
  // As it is now, with what names its state: the list may be older.
  const read = useQuery({
    queryKey: ["workspace", workspace.id, "services", service?.id ?? ""],
    queryFn: ({ signal }) => fetchService(workspace.id, service?.id ?? "", signal),
    enabled: service !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnMount: "always",
    gcTime: 0,
  });
  const first = service
    ? read.data && { form: formOf(read.data.service), etag: read.data.etag }
    : { form: NEW, etag: null };
  const title = service
    ? mayWrite
      ? `Edit the service ${service.name}`
      : `The service ${service.name}`
    : "New service";
  return (
    <Dialog open wide once={mayWrite} busy={busy} onClose={onClose} title={title}>
      {read.isLoadingError ? (
        <ErrorState error={read.error} retry={() => read.refetch()} />
      ) : !first ? (
        <SkeletonRows label="Loading the service" rows={4} />
      ) : mayWrite ? (
        <Fields id={service?.id} first={first} setBusy={setBusy} onClose={onClose} />
      ) : (
        <div className="flex flex-col gap-4">
          <CodeBlock name="Command" text={first.form.command} />
          {first.form.variables.length > 0 && (
            <CodeBlock
              name="Variables"
              text={first.form.variables.map(({ name, value }) => `${name}=${value}`).join("\n")}
            />
          )}
        </div>
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
  const [isChecked, setChecked] = useState(false);
  const { form, set, save, theirs } = useGuardedForm({
    first,
    readAgain: async () => {
      const now = await fetchService(workspace.id, id ?? "");
      return { form: formOf(now.service), etag: now.etag };
    },
    write: ({ name, command, variables, restart, auto_enable }, _, header) => {
      const [words, env] = [wordsOf(command), envOf(variables)];
      // It is sent only without a fault.
      if (typeof words === "string" || typeof env === "string") throw new Error("the form has a fault");
      const body = { name: name.trim(), command: words, env, restart, auto_enable };
      if (!id) {
        const params = { path: { workspace_id: workspace.id } };
        return ok(api.POST("/api/v1/workspaces/{workspace_id}/services", { params, body }));
      }
      const params = { path: { workspace_id: workspace.id, service_id: id }, header };
      return ok(api.PATCH("/api/v1/workspaces/{workspace_id}/services/{service_id}", { params, body }));
    },
    onSaved: async (saved) => {
      await queries.invalidateQueries({ ...servicesQuery(workspace.id), exact: true });
      toast(`The service ${saved.name} is saved`, "It reaches a machine at its next start.");
      onClose();
    },
    setBusy,
    counts: (form) => ({ ...form, variables: envOf(form.variables) }),
  });
  const words = wordsOf(form.command);
  const faults = {
    command: typeof words === "string" ? words : words.length === 0 ? "A service has a command." : undefined,
    variables: faultOf(envOf(form.variables)),
  };
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    setChecked(true);
    if (faults.command || faults.variables) focusFault(event.currentTarget);
    else save.mutate();
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <div className="grid gap-4 sm:grid-cols-2">
        <NameField name={form.name} onChange={(name) => set({ name })} />
        <Field label="Started again">
          {(control) => (
            <Select
              control={control}
              value={form.restart}
              onChange={(restart) => set({ restart })}
              options={optionsOf(RESTARTS)}
            />
          )}
        </Field>
      </div>
      <TextField
        label="Command"
        hint={<Words words={words} />}
        error={isChecked ? faults.command : undefined}
        value={form.command}
        placeholder="python -m agent"
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => set({ command: event.target.value })}
      />
      <Variables
        variables={form.variables}
        fault={isChecked ? faults.variables : undefined}
        onChange={(variables) => set({ variables })}
      />
      <Checkbox
        checked={form.auto_enable}
        onChange={(auto_enable) => set({ auto_enable })}
        label="Starts by itself"
        detail="On every machine that starts the workspace from then on"
      />
      <SaveFault what="service" theirs={theirs?.map((field) => NAMES[field])} error={save.error} />
      <DialogActions>
        <Button onClick={onClose} disabled={save.isPending}>
          Cancel
        </Button>
        <Button type="submit" look="primary" busy={save.isPending} disabled={form.name.trim() === ""}>
          {id ? "Save" : "Make service"}
        </Button>
      </DialogActions>
    </form>
  );
}

const faultOf = (env: Record<string, string> | string) => (typeof env === "string" ? env : undefined);

/** How a command was understood. */
function Words({ words }: { words: string[] | string }) {
  if (typeof words === "string" || words.length === 0) return "A program and its arguments, with quotes around spaces";
  return (
    <>
      No shell reads it.{" "}
      {words.map((word, place) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a word is its place
        <code key={place} className="mr-1 rounded bg-sunken px-1 font-mono wrap-anywhere text-text">
          {word || "''"}
        </code>
      ))}
    </>
  );
}

function Variables({
  variables,
  fault,
  onChange,
}: {
  variables: Variable[];
  fault: string | undefined;
  onChange: (variables: Variable[]) => void;
}) {
  const next = useRef(1000);
  const add = () => {
    next.current += 1;
    onChange([...variables, { id: next.current, name: "", value: "" }]);
  };
  const change = (id: number, part: Partial<Variable>) =>
    onChange(variables.map((variable) => (variable.id === id ? { ...variable, ...part } : variable)));
  return (
    <fieldset className="flex flex-col gap-2">
      <legend className="mb-1.5 text-sm font-medium">
        Variables<span className="font-normal text-soft"> (optional)</span>
      </legend>
      <p className="text-xs text-soft">
        Members see them: they are no place for secrets. The gateway's address and key are there without them.
      </p>
      {variables.map(({ id, name, value }, index) => (
        <div key={id} className="flex items-start gap-2 max-sm:flex-wrap">
          <input
            aria-label={`Name of variable ${index + 1}`}
            aria-invalid={fault ? true : undefined}
            className={`${inputClass} font-mono sm:basis-2/5`}
            value={name}
            placeholder="PORT"
            maxLength={64}
            autoComplete="off"
            spellCheck={false}
            onChange={(event) => change(id, { name: event.target.value })}
          />
          {/* A value may have several lines. */}
          <textarea
            aria-label={`Value of variable ${index + 1}`}
            className={`${inputClass} h-auto min-h-9 py-1.5 font-mono`}
            rows={Math.min(6, value.split("\n").length)}
            value={value}
            placeholder="8080"
            autoComplete="off"
            spellCheck={false}
            onChange={(event) => change(id, { value: event.target.value })}
          />
          <IconButton
            label={`Remove variable ${index + 1}`}
            onClick={() => onChange(variables.filter((variable) => variable.id !== id))}
          >
            <Trash2 size={16} />
          </IconButton>
        </div>
      ))}
      {fault && (
        <p role="alert" className="text-sm text-bad">
          {fault}
        </p>
      )}
      <Button size="small" className="self-start" onClick={add} disabled={variables.length >= 64}>
        <Plus aria-hidden="true" size={14} /> Add variable
      </Button>
    </fieldset>
  );
}
