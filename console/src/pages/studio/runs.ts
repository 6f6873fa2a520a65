import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, ok, type Schemas } from "@/api/client";
import { sentence } from "@/api/error";
import { LIVE_MS, PAGE_ITEMS } from "@/api/queries";

export type Visibility = Schemas["RunView"]["visibility"];
export type Status = Schemas["RunView"]["status"];

export type Step = Schemas["RunStepView"];
export type Run = Schemas["RunView"];

/** How often a list with runs under way asks anew, and a run whose stream is away. */
const WORK_MS = 2_000;

/** Whether nothing changes a run any more, except another try. */
export const hasEnded = (status: Status) => status !== "pending" && status !== "running";

export const runsQuery = (workspace: string) =>
  infiniteQueryOptions({
    queryKey: ["workspace", workspace, "runs", "list"],
    queryFn: ({ pageParam, signal }) => {
      const params = { path: { workspace_id: workspace }, query: { limit: PAGE_ITEMS, after: pageParam } };
      return ok(api.GET("/api/v1/workspaces/{workspace_id}/runs", { params, signal }));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: ({ state }) =>
      state.data?.pages.some(({ data }) => data.some(({ status }) => !hasEnded(status))) ? WORK_MS : LIVE_MS,
  });

/**
 * One run. `live`: a stream tells what changes, so that nothing is asked. The stream, answers and what people do meet
 * here in any order: whatever has the higher version stays.
 */
export const runQuery = (workspace: string, run: string, live = false) =>
  queryOptions({
    queryKey: ["workspace", workspace, "runs", run],
    queryFn: async ({ signal }) => {
      const params = { path: { workspace_id: workspace, run_id: run } };
      return await ok(api.GET("/api/v1/workspaces/{workspace_id}/runs/{run_id}", { params, signal }));
    },
    structuralSharing: (known, told) => newer(known as Run | undefined, told as Run),
    refetchInterval: ({ state }) => (live || !state.data ? false : hasEnded(state.data.status) ? LIVE_MS : WORK_MS),
  });

/** The later of two sights of a run. */
export function newer(known: Run | undefined, told: Run): Run {
  return known && known.version >= told.version ? known : told;
}

/** What a run can have that is made now. */
export const runOptionsQuery = (workspace: string) =>
  queryOptions({
    queryKey: ["workspace", workspace, "run-options"],
    queryFn: ({ signal }) => {
      const params = { path: { workspace_id: workspace } };
      return ok(api.GET("/api/v1/workspaces/{workspace_id}/run-options", { params, signal }));
    },
    refetchInterval: LIVE_MS,
  });

export const documentQuery = (workspace: string, run: string) =>
  queryOptions({
    queryKey: ["workspace", workspace, "runs", run, "document"],
    queryFn: async ({ signal }) => {
      const params = { path: { workspace_id: workspace, run_id: run } };
      // Without a format the answer is JSON.
      return (await ok(
        api.GET("/api/v1/workspaces/{workspace_id}/runs/{run_id}/document", { params, signal }),
      )) as Schemas["DocumentView"];
    },
    staleTime: Number.POSITIVE_INFINITY,
  });

/** What a prompt is called in lists: its first line. */
export function titleOf(prompt: string): string {
  const line = prompt.trim().split("\n", 1)[0] ?? "";
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}

export const VISIBILITIES: { value: Visibility; label: string; detail: string }[] = [
  { value: "private", label: "Private", detail: "You alone read it." },
  { value: "workspace", label: "Workspace", detail: "Every member of the workspace reads it." },
  { value: "link", label: "Link", detail: "Every member, and whoever has the link." },
];

export const visibilityLabel = (visibility: Visibility) =>
  VISIBILITIES.find(({ value }) => value === visibility)?.label ?? visibility;

export const outputsOf = (run: Pick<Run, "output_types" | "image_count">) =>
  run.output_types
    .map((type) => (type === "script" ? "Script" : run.image_count === 1 ? "1 picture" : `${run.image_count} pictures`))
    .join(", ");

/** What the steps are called, in their order: `Script`, `Picture`, or `Picture 1`, `Picture 2`. */
export function stepNames(steps: Pick<Step, "output_type">[]): string[] {
  const pictures = steps.filter(({ output_type }) => output_type === "image").length;
  let picture = 0;
  return steps.map(({ output_type }) => {
    if (output_type === "script") return "Script";
    picture += 1;
    return pictures === 1 ? "Picture" : `Picture ${picture}`;
  });
}

/** How far a run is, in a sentence. */
export function progressText({ status, steps }: Pick<Run, "status" | "steps">): string {
  const next = steps.findIndex((step) => step.status !== "succeeded");
  const name = (stepNames(steps)[next] ?? "last step").toLowerCase();
  const step = /\d$/.test(name) ? name : `the ${name}`;
  const place = steps.length > 1 && next >= 0 ? `, step ${next + 1} of ${steps.length}` : "";
  const kept = next > 0 ? " What was made before it stays." : "";
  switch (status) {
    case "pending":
      return "It waits for its turn. You can leave this page: it is worked on all the same.";
    case "running":
      return sentence(`${step} is being made${place}. You can leave this page: it is worked on all the same.`);
    case "succeeded":
      return "Everything is made.";
    case "failed":
      return sentence(`${step} could not be made${place}.${kept}`);
    case "cancelled":
      return `Stopped before ${step} was made${place}.${kept} Another try goes on there.`;
  }
}

/** What to do where a run was not made, since nothing would serve the step that makes `output`. */
export function refusedHint(code: string, output: Step["output_type"]): string {
  switch (code) {
    case "images_not_configured":
      return "Ask an admin of the instance to set image models (image_models in the settings), or make a script alone.";
    case "byok_required":
      return output === "image"
        ? "An admin of the workspace can let credits pay on the page AI config. Without them, make a script alone."
        : "A guardrail forbids credits: choose a model that an own key serves.";
    case "managed_unavailable":
      return output === "image"
        ? "The instance has no key for its image models: tell an admin of the instance, or make a script alone."
        : "The instance has no key for this model: choose another one, or add an own key on the page Keys.";
    case "credits_exhausted":
      return output === "image"
        ? "See Credits under Account, or ask an admin of the instance for credits; or make a script alone."
        : "See Credits under Account, or ask an admin of the instance for credits; or choose a model that an own key serves.";
    case "byok_key_missing":
    case "byok_key_disabled":
    case "byok_key_revoked":
      return "Add or enable a key for the model's provider on the page Keys, or choose another model.";
    case "model_not_chosen":
      return "Choose a model, or set a default on the page Models.";
    default:
      return "Choose another model. The page Explain tells why this one is not served.";
  }
}

/** What to do about a code that a run failed with. `output`: what its step makes. */
export function hintOf(code: string, output: Step["output_type"] | undefined): string {
  const anew = "for another model or key, make a new run";
  switch (code) {
    case "api_key_invalid":
      return "The API key that the run was made for ended, or its maker left the workspace. Make a new run.";
    case "byok_key_revoked":
      return "Key and model of a run are pinned, and that key was removed. Make a new run: it takes the key that serves now.";
    case "byok_key_disabled":
      return `Model and key of a run are pinned. Enable the key on the page Keys and try again; ${anew}.`;
    case "byok_key_dormant":
      return "The account's plan lets no own key serve. The key is kept; try again under a plan that does.";
    case "byok_disabled_for_provider":
      return "An admin of the instance switched own keys for the provider off. Try again when they are back.";
    case "byok_forbidden":
      return "A guardrail of the workspace forbids own keys: an admin can lift it on the page AI config.";
    case "byok_required":
      return "A guardrail of the workspace forbids credits: an admin can lift it on the page AI config.";
    case "credits_exhausted":
      return "See Credits under Account, or ask an admin of the instance for credits; then try again.";
    case "images_not_configured":
      return "An admin of the instance sets image models in the settings (image_models); then try again.";
    case "script_missing":
    case "script_too_large":
      return "Say it in other words or take another model: make a new run. Another try asks for the same once more, and may cost again.";
    case "picture_missing":
    case "picture_unreadable":
    case "picture_too_large":
      return "Say it in other words: make a new run. Another try asks for the same once more, and may cost again.";
    case "internal_error":
      return "Try again. If it stays, tell the admin of the instance.";
  }
  if (code.startsWith("byok_"))
    return "Model and key of a run are pinned. Mend the key on the page Keys and try again, or make a new run.";
  if (code === "managed_unavailable" || (output === "image" && code === "upstream_credentials_exhausted"))
    return "Keys of the instance would serve, and none does. Tell an admin of the instance.";
  if (code === "upstream_credentials_exhausted")
    return `The provider turned the key away: look at it on the page Keys, then try again; ${anew}.`;
  if (/^upstream_(timeout|unavailable|unreachable|broken|bad_gateway)$/.test(code))
    return `The provider is in trouble. Try again in a while; ${anew}.`;
  return `Another try goes on at this step; ${anew}.`;
}

/** A title as a name of a file, on any system: letters and digits of whatever language. */
export function fileName(title: string): string {
  return title
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-|-$/g, "")
    .slice(0, 60);
}
