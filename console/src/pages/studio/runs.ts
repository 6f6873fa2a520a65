import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, ok, type Schemas } from "@/api/client";
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

/** One run. `live`: a stream tells what changes, so that nothing is asked. */
export const runQuery = (workspace: string, run: string, live = false) =>
  queryOptions({
    queryKey: ["workspace", workspace, "runs", run],
    queryFn: async ({ signal }) => {
      const params = { path: { workspace_id: workspace, run_id: run } };
      return await ok(api.GET("/api/v1/workspaces/{workspace_id}/runs/{run_id}", { params, signal }));
    },
    refetchInterval: ({ state }) => (live || !state.data ? false : hasEnded(state.data.status) ? LIVE_MS : WORK_MS),
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

/** What may write a script: the tiers and models of the workspace, served now or not. */
export const modelsQuery = (workspace: string) =>
  queryOptions({
    queryKey: ["workspace", workspace, "models"],
    queryFn: ({ signal }) =>
      ok(
        api.GET("/api/v1/workspaces/{workspace_id}/models", { params: { path: { workspace_id: workspace } }, signal }),
      ),
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

/** What to do about a code that a run failed with. */
export function hintOf(code: string): string {
  if (code === "api_key_invalid")
    return "The API key that the run was made for ended, or its maker left. Make a new run.";
  if (code.startsWith("byok_"))
    return "Model and key of this run are pinned. Mend the key on the page Keys and try again, or make a new run.";
  if (code.includes("credit") || code.includes("balance"))
    return "Ask an admin of the instance for credits, then try again.";
  return "Try again goes on at this step. For another model or key, make a new run.";
}
