import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { policyQuery, useWhole } from "@/api/queries";
import { apiKeysQuery } from "@/pages/api-keys/queries";
import { ModelPicker } from "@/pages/models/ModelPicker";
import { type Models, modelsQuery } from "@/pages/models/models";
import { type Filters, useFilters } from "@/shell/filters";
import { useWorkspace } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import { Checkbox } from "@/ui/Checkbox";
import type { Entry } from "@/ui/Combobox";
import { ErrorState } from "@/ui/ErrorNote";
import { Field } from "@/ui/Field";
import { PageBody } from "@/ui/Page";
import { Select } from "@/ui/Select";
import { SkeletonRows } from "@/ui/Skeleton";
import { Answer } from "./Answer";
import { resolveQuery } from "./queries";

/** In the picker what a request says by naming no model. */
const OPEN: Entry[] = [{ value: "", label: "The choice is left open" }];
const NO_MODELS: Models = { default_model: null, models: [], tiers: [] };

const NAMES = ["model", "api_key_id", "no_managed", "asked"] as const;

/** Which key would serve a call, who would pay, and why not the others. */
export function Page() {
  const [filters, change] = useFilters(NAMES);
  return (
    <PageBody
      title="Explain"
      lead="Which key would serve a call at this moment, who would pay, and why. The decision is the one that a call gets; no provider is called and nothing is charged."
    >
      <Question filters={filters} change={change} />
      {filters.asked && <Asked filters={filters} />}
    </PageBody>
  );
}

type Chosen = Filters<(typeof NAMES)[number]>;

function Question({ filters, change }: { filters: Chosen; change: (patch: Chosen) => void }) {
  const workspace = useWorkspace();
  const queries = useQueryClient();
  // Names can be typed before the list is there, and where it cannot be had.
  const models = useQuery(modelsQuery(workspace.id)).data ?? NO_MODELS;
  const presets = useQuery(policyQuery(workspace.id)).data?.presets;
  const keys = useWhole(useInfiniteQuery(apiKeysQuery(workspace.id))) ?? [];
  const [model, setModel] = useState(filters.model ?? "");
  const [apiKey, setApiKey] = useState(filters.api_key_id ?? "");
  const [noManaged, setNoManaged] = useState(filters.no_managed === "true");
  // Another address fills the form anew; the form stays, and with it the focus.
  const address = JSON.stringify(filters);
  const [seen, setSeen] = useState(address);
  if (seen !== address) {
    setSeen(address);
    setModel(filters.model ?? "");
    setApiKey(filters.api_key_id ?? "");
    setNoManaged(filters.no_managed === "true");
  }
  const options = [{ value: "", label: "Any" }];
  for (const { id, name, revoked_at } of keys) if (!revoked_at) options.push({ value: id, label: name });
  if (!options.some(({ value }) => value === apiKey)) options.push({ value: apiKey, label: apiKey });
  const ask = (event: FormEvent) => {
    event.preventDefault();
    change({
      model: model.trim(),
      api_key_id: apiKey,
      no_managed: noManaged ? "true" : undefined,
      asked: "yes",
    });
    // The same question once more is about another moment.
    queries.invalidateQueries({ queryKey: ["workspace", workspace.id, "resolve"] });
  };
  return (
    <form onSubmit={ask} className="flex flex-col gap-4">
      <div className="grid gap-4 sm:grid-cols-[2fr_1fr]">
        <Field label="Model or tier" optional hint="As a request names it; left open, whatever was chosen for it.">
          {(control) => (
            <ModelPicker
              control={control}
              value={model}
              onChange={setModel}
              models={models}
              first={OPEN}
              presets={presets}
              tiers
              anyName
            />
          )}
        </Field>
        <Field label="Called with the API key" hint="It may choose the model.">
          {(control) => <Select control={control} value={apiKey} onChange={setApiKey} options={options} />}
        </Field>
      </div>
      <Checkbox
        checked={noManaged}
        onChange={setNoManaged}
        label="The request forbids credits"
        detail="As the header x-keybearer-no-managed does."
      />
      <div>
        <Button type="submit" look="primary">
          Explain
        </Button>
      </div>
    </form>
  );
}

function Asked({ filters }: { filters: Chosen }) {
  const workspace = useWorkspace();
  const answer = useQuery(
    resolveQuery(workspace.id, {
      ...(filters.model ? { model: filters.model } : {}),
      ...(filters.api_key_id ? { api_key_id: filters.api_key_id } : {}),
      ...(filters.no_managed === "true" ? { no_managed: true } : {}),
    }),
  );
  if (answer.isPending) return <SkeletonRows label="Asking" />;
  if (answer.isLoadingError) return <ErrorState error={answer.error} retry={() => answer.refetch()} />;
  return <Answer answer={answer.data} />;
}
