/** Reads and changes of the instance that several of its pages share. */
import { type QueryClient, queryOptions } from "@tanstack/react-query";
import { type Answer, api, ok, type Schemas } from "./client";
import { ApiError } from "./error";

/** The plans of the instance, the lowest first. */
export const plansQuery = queryOptions({
  queryKey: ["admin", "plans"],
  queryFn: async ({ signal }) => (await ok(api.GET("/api/v1/admin/plans", { signal }))).data,
});

/** A plan, and what names its state. */
export interface TaggedPlan {
  plan: Schemas["PlanView"];
  etag: string | null;
}

export async function fetchPlan(id: string, signal?: AbortSignal): Promise<TaggedPlan> {
  const call = api.GET("/api/v1/admin/plans/{plan_id}", { params: { path: { plan_id: id } }, signal });
  const plan = await ok(call);
  return { plan, etag: (await call).response.headers.get("etag") };
}

/** The settings, and what names their state. */
type Tagged = Schemas["SettingsView"] & { etag: string | null };

async function tagged(call: Promise<Answer<Schemas["SettingsView"]>>): Promise<Tagged> {
  const settings = await ok(call);
  return { ...settings, etag: (await call).response.headers.get("etag") };
}

/** All settings of the instance with their values. */
export const settingsQuery = queryOptions({
  queryKey: ["admin", "settings"],
  queryFn: ({ signal }) => tagged(api.GET("/api/v1/admin/settings", { signal })),
});

/** So often a change is made anew of what others were faster to store. */
const TRIES = 3;

/**
 * Changes the settings as `edit` says of those that are there: read just before, and refused by the server where they are
 * others by then. So a list, which is replaced as a whole, loses nothing that somebody else wrote meanwhile.
 */
export async function changeSettings(
  queries: QueryClient,
  edit: (settings: Schemas["SettingsView"]) => Schemas["SettingsPatch"],
): Promise<void> {
  for (let tried = 1; ; tried += 1) {
    const { etag, ...settings } = await queries.fetchQuery({ ...settingsQuery, staleTime: 0 });
    const header = etag === null ? {} : { "if-match": etag };
    const body = edit(settings);
    try {
      const call = api.PATCH("/api/v1/admin/settings", { params: { header }, body });
      queries.setQueryData(settingsQuery.queryKey, await tagged(call));
      return;
    } catch (error) {
      const overtaken = error instanceof ApiError && error.code === "precondition_failed";
      if (!overtaken || tried === TRIES) throw error;
    }
  }
}
