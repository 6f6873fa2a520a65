import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { useWorkspace } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import { Checkbox } from "@/ui/Checkbox";
import { Combobox } from "@/ui/Combobox";
import { cx } from "@/ui/cx";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { ErrorNote } from "@/ui/ErrorNote";
import { Field, inputClass } from "@/ui/Field";
import { type Option, Select } from "@/ui/Select";
import { modelsQuery, runsQuery, VISIBILITIES, type Visibility } from "./runs";
import { SharedLink } from "./SharedLink";

const PROMPT_CHARACTERS = 8_000;
const COUNTS = ["1", "2", "3", "4"].map((value) => ({ value, label: value }));

/** Asks what is to be made, and leads to the run; a link, which is shown once, comes before that. */
export function NewRunDialog({ onClose }: { onClose: () => void }) {
  const workspace = useWorkspace();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const models = useQuery(modelsQuery(workspace.id));
  const [prompt, setPrompt] = useState("");
  const [model, setModel] = useState("default");
  const [script, setScript] = useState(true);
  const [image, setImage] = useState(false);
  const [pictures, setPictures] = useState("1");
  const [visibility, setVisibility] = useState<Visibility>("private");
  const open = (run: string) => navigate({ to: `/w/${workspace.id}/studio/${run}` });
  const create = useMutation({
    mutationFn: () => {
      const body: Schemas["NewRunBody"] = {
        prompt: prompt.trim(),
        output_types: [...(script ? (["script"] as const) : []), ...(image ? (["image"] as const) : [])],
        visibility,
        ...(script && { model }),
        ...(image && { image_count: Number(pictures) }),
      };
      const params = { path: { workspace_id: workspace.id } };
      return ok(api.POST("/api/v1/workspaces/{workspace_id}/runs", { params, body }));
    },
    gcTime: 0,
    onSuccess: (run) => {
      queries.invalidateQueries(runsQuery(workspace.id));
      if (!run.link_path) open(run.id);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  if (create.data?.link_path) {
    const made = create.data;
    return (
      <Dialog
        open
        once
        onClose={() => open(made.id)}
        title="The run is made"
        description="Its link is shown this once."
      >
        <SharedLink path={create.data.link_path} />
        <DialogActions>
          <Button look="primary" onClick={() => open(made.id)}>
            Open the run
          </Button>
        </DialogActions>
      </Dialog>
    );
  }
  const characters = [...prompt.trim()].length;
  return (
    <Dialog open onClose={onClose} title="New run">
      <form onSubmit={submit} className="flex flex-col gap-4">
        <Field
          label="Prompt"
          error={
            characters > PROMPT_CHARACTERS ? `${characters} characters; at most ${PROMPT_CHARACTERS} fit.` : undefined
          }
        >
          {(control) => (
            <textarea
              {...control}
              required
              rows={5}
              value={prompt}
              onChange={(event) => setPrompt(event.target.value)}
              className={cx(inputClass, "h-auto resize-y py-2")}
            />
          )}
        </Field>
        <fieldset className="flex flex-col gap-2.5">
          <legend className="mb-2 text-sm font-medium">What it makes</legend>
          <Checkbox
            checked={script}
            onChange={setScript}
            label="Script"
            detail="A text, with the key that would serve a call of the model now."
          />
          <Checkbox
            checked={image}
            onChange={setImage}
            label="Pictures"
            detail="By the image models of this instance, always paid by credits."
          />
        </fieldset>
        {script && (
          <Field label="Model" hint="Model and key are pinned with the run; nothing stands in for them later.">
            {(control) => (
              <Combobox
                control={control}
                value={model}
                options={models.data ? optionsOf(models.data) : [{ value: "default", label: "Default" }]}
                onChange={setModel}
                empty="No model is called like that"
              />
            )}
          </Field>
        )}
        {models.isError && script && <ErrorNote error={models.error} title="The models could not be loaded" />}
        <div className="grid gap-4 sm:grid-cols-2">
          <Field label="Who may read it">
            {(control) => (
              <Select control={control} value={visibility} options={VISIBILITIES} onChange={setVisibility} />
            )}
          </Field>
          {image && (
            <Field label="Number of pictures">
              {(control) => <Select control={control} value={pictures} options={COUNTS} onChange={setPictures} />}
            </Field>
          )}
        </div>
        {create.isError && <ErrorNote error={create.error} />}
        <DialogActions>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            type="submit"
            look="primary"
            busy={create.isPending}
            disabled={characters === 0 || characters > PROMPT_CHARACTERS || !(script || image)}
          >
            Start
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}

/** The default, the tiers, and the models that write text; what nothing serves now says so. */
function optionsOf({ default_model, tiers, models }: Schemas["WorkspaceModels"]): Option<string>[] {
  const detail = ({ key_source, refusal }: Schemas["ServedView"]) =>
    refusal ? `not served: ${refusal}` : key_source === "byok" ? "own key" : "credits";
  return [
    { value: "default", label: "Default", detail: default_model ?? "nobody chose one" },
    ...tiers
      .filter(({ tier }) => tier !== "embeddings")
      .map((tier) => ({
        value: tier.tier,
        label: tier.tier,
        detail: [tier.model, detail(tier)].filter(Boolean).join(", "),
        disabled: tier.refusal !== null,
      })),
    ...models
      .filter(({ output_modalities: out }) => out.length === 0 || out.includes("text"))
      .map((model) => ({
        value: model.id,
        label: model.id,
        detail: detail(model),
        disabled: model.refusal !== null,
      })),
  ];
}
