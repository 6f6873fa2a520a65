import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { type FormEvent, useMemo, useState } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { ApiError, asApiError, sentence } from "@/api/error";
import { policyQuery } from "@/api/queries";
import { count } from "@/format/number";
import { ModelPicker } from "@/pages/models/ModelPicker";
import { defaultEntry, firstModel, type Models, modelsQuery, whoPays } from "@/pages/models/models";
import { NEW } from "@/shell/newDialog";
import { useMe, useWorkspace } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import { Checkbox } from "@/ui/Checkbox";
import { cx } from "@/ui/cx";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { ErrorNote } from "@/ui/ErrorNote";
import { Field, inputClass } from "@/ui/Field";
import { Note } from "@/ui/Note";
import { Select } from "@/ui/Select";
import { Skeleton } from "@/ui/Skeleton";
import { type Run, refusedHint, runOptionsQuery, runsQuery, VISIBILITIES, type Visibility } from "./runs";
import { SharedLink } from "./SharedLink";

const PROMPT_CHARACTERS = 8_000;
const COUNTS = ["1", "2", "3", "4"].map((value) => ({ value, label: value }));

/** Asks what is to be made, and leads to the run; a link, which is shown once, comes before that. `like`: begin with it. */
export function NewRunDialog({ like, onClose }: { like?: Run; onClose: () => void }) {
  const workspace = useWorkspace();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const models = useQuery(modelsQuery(workspace.id));
  const [prompt, setPrompt] = useState(like?.prompt ?? "");
  const [chosen, setChosen] = useState(like?.model?.requested);
  const [script, setScript] = useState(like ? like.output_types.includes("script") : true);
  const [wantsImage, setImage] = useState(like?.output_types.includes("image") ?? false);
  const [pictures, setPictures] = useState(String(like?.image_count || 1));
  const [visibility, setVisibility] = useState<Visibility>("private");
  const possible = useQuery(runOptionsQuery(workspace.id)).data?.pictures;
  // Until it is known they can be chosen; the server has the last word.
  const lack = possible && !possible.available ? possible : undefined;
  const image = wantsImage && !lack;
  const model = chosen ?? (models.data && firstModel(models.data));
  const open = (run: string) => {
    onClose();
    navigate({ to: `/w/${workspace.id}/studio/${run}` });
  };
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
    const { id, link_path } = create.data;
    return (
      <Dialog open once onClose={() => open(id)} title="The run is made" description="Its link is shown this once.">
        <SharedLink path={link_path} />
        <DialogActions>
          <Button look="primary" onClick={() => open(id)}>
            Open the run
          </Button>
        </DialogActions>
      </Dialog>
    );
  }
  const characters = [...prompt.trim()].length;
  const tooLong =
    characters > PROMPT_CHARACTERS
      ? `${count(characters)} characters; at most ${count(PROMPT_CHARACTERS)} fit.`
      : undefined;
  return (
    <Dialog open once busy={create.isPending} onClose={onClose} title="New run">
      <form onSubmit={submit} className="flex flex-col gap-4">
        <Field
          label="Prompt"
          error={tooLong}
          hint={`What is to be made. At most ${count(PROMPT_CHARACTERS)} characters.`}
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
            detail="A text, by the model that you choose."
          />
          <Checkbox
            checked={image}
            onChange={setImage}
            disabled={lack !== undefined}
            label="Pictures"
            detail="By the image models of this instance, always paid by credits."
          />
          {lack && <NoPictures lack={lack} />}
        </fieldset>
        {script && <ModelField models={models} model={model} onChange={setChosen} />}
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
        {create.isError && <ErrorNote error={withWay(create.error)} />}
        <DialogActions>
          <Button onClick={onClose} disabled={create.isPending}>
            Cancel
          </Button>
          <Button
            type="submit"
            look="primary"
            busy={create.isPending}
            disabled={characters === 0 || tooLong !== undefined || !(script || image) || (script && !model)}
          >
            Start
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}

/** Why a run can have no pictures, and what whoever sees it can do about it. */
function NoPictures({ lack: { reason, code } }: { lack: Schemas["PicturesView"] }) {
  const isInstanceAdmin = useMe().user.instance_admin;
  const linked = "text-accent-text underline underline-offset-2";
  return (
    <Note>
      {sentence(reason ?? "nothing would make them now")}{" "}
      {isInstanceAdmin && code === "images_not_configured" ? (
        <>
          Set image models under{" "}
          <Link to="/admin/settings" className={linked}>
            Settings
          </Link>
          .
        </>
      ) : isInstanceAdmin && code === "managed_unavailable" ? (
        <>
          Add one under{" "}
          <Link to="/admin/platform-keys" search={NEW as never} className={linked}>
            Platform keys
          </Link>
          .
        </>
      ) : (
        code && refusedHint(code, "image")
      )}
    </Note>
  );
}

/** A refusal with what to do about it: the server's hint is for programs, and names where to look it up. */
function withWay(error: unknown): ApiError {
  const refused = asApiError(error);
  const { code, output_type: output } = refused.details;
  if (refused.code !== "run_not_servable" || typeof code !== "string") return refused;
  const body = { code: `${refused.code} · ${code}`, detail: refused.detail, request_id: refused.requestId };
  return new ApiError(refused.status, { ...body, hint: refusedHint(code, output === "image" ? "image" : "script") });
}

/** What writes the script, and who pays for it: both are pinned with the run. */
function ModelField({
  models,
  model,
  onChange,
}: {
  models: { data: Models | undefined; error: unknown; isLoadingError: boolean };
  model: string | undefined;
  onChange: (model: string) => void;
}) {
  const first = useMemo(() => defaultEntry(models.data), [models.data]);
  const presets = useQuery(policyQuery(useWorkspace().id)).data?.presets;
  if (models.isLoadingError) return <ErrorNote error={models.error} title="The models could not be loaded" />;
  if (!models.data) return <Skeleton className="h-16" />;
  const pays =
    model === undefined ? "Nothing can be called: there is no key that serves. " : whoPays(models.data, model);
  return (
    <Field
      label="Model"
      hint={`${model?.startsWith("@") ? "The first of the preset's models that is served; of its parameters nothing counts. " : (pays ?? "")} Model and key are pinned with the run; nothing stands in for them later.`}
    >
      {(control) => (
        <ModelPicker
          control={control}
          value={model ?? ""}
          onChange={onChange}
          models={models.data as Models}
          presets={presets}
          tiers
          onlyServed
          first={first}
        />
      )}
    </Field>
  );
}
