import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { policyQuery } from "@/api/queries";
import { ModelPicker } from "@/pages/models/ModelPicker";
import { modelsQuery } from "@/pages/models/models";
import { useWorkspace } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import type { Entry } from "@/ui/Combobox";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { ErrorNote } from "@/ui/ErrorNote";
import { Field } from "@/ui/Field";
import { Select } from "@/ui/Select";
import { SkeletonRows } from "@/ui/Skeleton";
import { toast } from "@/ui/Toaster";
import { changesOf, type KeyForm, laterEnds } from "./ends";
import { apiKeysQuery } from "./queries";

type Key = Schemas["ApiKeyView"];

/** In the picker what the API says with `null`. */
const WORKSPACE: Entry[] = [{ value: "", label: "The workspace's choice" }];

/** Changes what can change of an API key: the model of calls that name none, and a later end. */
export function EditKeyDialog({ keyView: key, onClose }: { keyView: Key; onClose: () => void }) {
  const workspace = useWorkspace();
  const queries = useQueryClient();
  const models = useQuery(modelsQuery(workspace.id)).data;
  const presets = useQuery(policyQuery(workspace.id)).data?.presets;
  // As it was when the dialog was opened: what others change meanwhile stays theirs.
  const [opened] = useState(key);
  const [form, setForm] = useState<KeyForm>({ model: key.default_model ?? "", ends: "" });
  const [ends] = useState(() => laterEnds(key, Date.now()));
  const save = useMutation({
    mutationFn: async () => {
      const params = { path: { workspace_id: workspace.id, api_key_id: key.id } };
      for (const body of changesOf(opened, form))
        await ok(api.PATCH("/api/v1/workspaces/{workspace_id}/api-keys/{api_key_id}", { params, body }));
    },
    onSuccess: async () => {
      await queries.invalidateQueries(apiKeysQuery(workspace.id));
      toast(`${key.name} is changed`, "It counts from the next call.");
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <Dialog open busy={save.isPending} onClose={onClose} title={`Edit ${key.name}`}>
      {!models ? (
        <SkeletonRows rows={2} label="Loading the models" />
      ) : (
        <form onSubmit={submit} className="flex flex-col gap-4">
          <Field label="Default model" hint="Serves calls with this key that name no model, or the model default.">
            {(control) => (
              <ModelPicker
                control={control}
                value={form.model}
                onChange={(model) => setForm({ ...form, model })}
                models={models}
                presets={presets}
                tiers
                anyName
                first={WORKSPACE}
              />
            )}
          </Field>
          {ends.length > 0 && (
            <Field label="Expires" hint="An end can be moved to a later time alone.">
              {(control) => (
                <Select
                  control={control}
                  value={form.ends}
                  onChange={(ends) => setForm({ ...form, ends })}
                  options={[{ value: "", label: "As it is" }, ...ends]}
                />
              )}
            </Field>
          )}
          {save.isError && <ErrorNote error={save.error} />}
          <DialogActions>
            <Button onClick={onClose} disabled={save.isPending}>
              Cancel
            </Button>
            <Button type="submit" look="primary" busy={save.isPending}>
              Save
            </Button>
          </DialogActions>
        </form>
      )}
    </Dialog>
  );
}
