import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { useMe, useWorkspace } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import { Checkbox } from "@/ui/Checkbox";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { ErrorNote } from "@/ui/ErrorNote";
import { Field, TextField } from "@/ui/Field";
import { type Option, Select } from "@/ui/Select";
import { ENDS } from "./ends";
import { Minted } from "./Minted";
import { apiKeysQuery } from "./queries";
import { SCOPES, type Scope } from "./scopes";

const NEVER: Option<string> = { value: "never", label: "Never" };

type Preset = "call" | "some";
const PRESETS: Option<Preset>[] = [
  { value: "call", label: "Call models", detail: "What an application needs" },
  { value: "some", label: "Chosen scopes", detail: "For programs that use the API too" },
];

/** Asks what a new API key may do, and shows it once. */
export function NewKeyDialog({ onClose }: { onClose: () => void }) {
  const workspace = useWorkspace();
  const me = useMe();
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [ends, setEnds] = useState("never");
  const [preset, setPreset] = useState<Preset>("call");
  const [chosen, setChosen] = useState<Scope[]>(["inference:invoke"]);
  const scopes: Scope[] = preset === "call" ? ["inference:invoke"] : chosen;
  const mint = useMutation({
    mutationFn: () => {
      const body = { name: name.trim(), scopes, ...(ends === "never" ? {} : { expires_in_s: Number(ends) }) };
      return ok(
        api.POST("/api/v1/workspaces/{workspace_id}/api-keys", {
          params: { path: { workspace_id: workspace.id } },
          body,
        }),
      );
    },
    gcTime: 0,
    onSuccess: () => queries.invalidateQueries(apiKeysQuery(workspace.id)),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    mint.mutate();
  };
  if (mint.data) return <Minted name={mint.data.name} apiKey={mint.data.key} onClose={onClose} />;
  const offered = SCOPES.filter(({ instance }) => !instance || me.user.instance_admin);
  const set = (scope: Scope) => (checked: boolean) =>
    setChosen((all) => (checked ? [...all, scope] : all.filter((other) => other !== scope)));
  return (
    <Dialog
      open
      busy={mint.isPending}
      onClose={onClose}
      title="New API key"
      description="It acts for you in this workspace, and never does more than you may yourself."
    >
      <form onSubmit={submit} className="flex flex-col gap-4">
        <TextField
          label="Name"
          hint="Which program it is for"
          value={name}
          required
          maxLength={100}
          autoComplete="off"
          onChange={(event) => setName(event.target.value)}
        />
        <div className="grid gap-4 sm:grid-cols-2">
          <Field label="Permissions">
            {(control) => <Select control={control} value={preset} onChange={setPreset} options={PRESETS} />}
          </Field>
          <Field label="Expires">
            {(control) => <Select control={control} value={ends} onChange={setEnds} options={[NEVER, ...ENDS]} />}
          </Field>
        </div>
        {preset === "some" && (
          <fieldset className="rounded-md border border-line px-3 pt-1 pb-3">
            <legend className="px-1 text-sm font-medium">Scopes</legend>
            <div className="grid gap-2.5 sm:grid-cols-2">
              {offered.map(({ scope, says }) => (
                <Checkbox
                  key={scope}
                  checked={chosen.includes(scope)}
                  onChange={set(scope)}
                  label={<code className="font-mono text-xs">{scope}</code>}
                  detail={says}
                />
              ))}
            </div>
          </fieldset>
        )}
        {mint.isError && <ErrorNote error={mint.error} />}
        <DialogActions>
          <Button onClick={onClose} disabled={mint.isPending}>
            Cancel
          </Button>
          <Button
            type="submit"
            look="primary"
            busy={mint.isPending}
            disabled={name.trim() === "" || scopes.length === 0}
          >
            Mint
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
