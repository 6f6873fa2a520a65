import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { providersQuery } from "@/api/queries";
import { MODES } from "@/pages/ai-config/ModeForm";
import { ModelPicker } from "@/pages/models/ModelPicker";
import { modelsQuery } from "@/pages/models/models";
import { ownWorkspace, useMe } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import { Combobox } from "@/ui/Combobox";
import { ErrorNote } from "@/ui/ErrorNote";
import { type ControlProps, Field, inputClass } from "@/ui/Field";
import { Note } from "@/ui/Note";
import { Card } from "@/ui/Page";
import { type Option, Select } from "@/ui/Select";
import { toast } from "@/ui/Toaster";
import { useUnsaved } from "@/ui/Unsaved";
import { type Defaults, defaultsQuery } from "./queries";

type Mode = NonNullable<Defaults["mode"]>;
type Change = Pick<Schemas["AiConfigUpdate"], "mode" | "provider" | "model">;

/** In the controls what the API says with `null`. */
const NONE = "";
const INSTANCE = [{ value: NONE, label: "The instance's choice" }];
const AS_INSTANCE = {
  value: NONE,
  label: "As the instance says",
  detail: "Decided when the workspace is made",
} as const;

/** Mode, provider and model of new workspaces, saved together. */
export function DefaultsForm({ stored }: { stored: Defaults }) {
  const queries = useQueryClient();
  const providers = useQuery(providersQuery);
  const [draft, setDraft] = useState<Change>({});
  const change: Change = changed(draft, stored);
  const isChanged = Object.keys(change).length > 0;
  useUnsaved(isChanged);
  const save = useMutation({
    mutationFn: (body: Change) => ok(api.PUT("/api/v1/users/me/ai-defaults", { body })),
    onSuccess: async (saved) => {
      queries.setQueryData(defaultsQuery.queryKey, saved);
      setDraft({});
      await queries.invalidateQueries({ queryKey: ["me", "credits"] });
      toast("Defaults saved", "They count for workspaces that are made from now on.");
    },
  });
  const shown = { ...stored, ...change };
  const edit = (part: Change) => {
    save.reset();
    setDraft({ ...draft, ...part });
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate(change);
  };
  const dropsKey = stored.provider !== null && (change.mode === "managed" || change.provider !== undefined);
  return (
    <Card className="p-4">
      <form onSubmit={submit} noValidate className="flex flex-col gap-4">
        <div className="grid gap-4 sm:grid-cols-2">
          <Field label="Mode" hint="Who pays for calls of models">
            {(control) => (
              <Select
                control={control}
                value={shown.mode ?? NONE}
                options={[AS_INSTANCE, ...stored.offered_modes.map(modeOption)]}
                onChange={(mode) => edit({ mode: mode === NONE ? null : mode })}
              />
            )}
          </Field>
          <Field label="Provider" hint="The one that the workspace's AI config tells about; it chooses no key">
            {(control) => (
              <Combobox
                control={control}
                value={shown.provider ?? NONE}
                empty="No provider is called like that."
                options={[
                  { value: NONE, label: "None" },
                  ...(providers.data ?? []).map(({ id, name }) => ({ value: id, label: name, detail: id })),
                ]}
                onChange={(provider) => edit({ provider: provider === NONE ? null : provider })}
              />
            )}
          </Field>
          <Field label="Model" hint="Serves when a call leaves the choice to the workspace" className="sm:col-span-2">
            {(control) => (
              <Model
                control={control}
                value={shown.model ?? NONE}
                onChange={(model) => edit({ model: model === NONE ? null : model })}
              />
            )}
          </Field>
        </div>
        {dropsKey && (
          <Note tone="warn">
            If a key was stored for the defaults over the API or the command line, this removes it. Copies of it in
            workspaces stay.
          </Note>
        )}
        {save.isError && <ErrorNote error={save.error} />}
        <div className="flex flex-wrap gap-2">
          <Button type="submit" look="primary" busy={save.isPending} disabled={!isChanged}>
            Save defaults
          </Button>
          {isChanged && <Button onClick={() => edit(nothing)}>Cancel</Button>}
        </div>
      </form>
    </Card>
  );
}

/** A mode, and where it cannot be had, why. */
function modeOption({ mode, available, reason }: Schemas["OfferedModeView"]): Option<Mode> {
  const hindered = reason === "plan_required" ? "Your plan lets no own key serve" : "Not offered by this instance";
  return {
    value: mode,
    label: MODES[mode].label,
    detail: available ? MODES[mode].effect : hindered,
    disabled: reason === "mode_not_offered",
  };
}

const nothing: Change = { mode: undefined, provider: undefined, model: undefined };

/** What of a draft is not as it is stored. */
function changed(draft: Change, stored: Defaults): Change {
  const change: Change = {};
  if (draft.mode !== undefined && draft.mode !== (stored.mode ?? null)) change.mode = draft.mode;
  if (draft.provider !== undefined && draft.provider !== stored.provider) change.provider = draft.provider;
  if (draft.model !== undefined && draft.model !== stored.model) change.model = draft.model;
  return change;
}

/** The models that a workspace of the account knows; without one, a name is typed. */
function Model({
  control,
  value,
  onChange,
}: {
  control: ControlProps;
  value: string;
  onChange: (value: string) => void;
}) {
  const own = ownWorkspace(useMe())?.id ?? "";
  const models = useQuery({ ...modelsQuery(own), enabled: own !== "" });
  if (models.data) {
    return (
      <ModelPicker control={control} value={value} onChange={onChange} models={models.data} first={INSTANCE} tiers />
    );
  }
  return (
    <input
      {...control}
      className={inputClass}
      value={value}
      placeholder="openai/gpt-5.4-nano; empty: the instance's choice"
      maxLength={256}
      autoComplete="off"
      spellCheck={false}
      onChange={(event) => onChange(event.target.value.trim())}
    />
  );
}
