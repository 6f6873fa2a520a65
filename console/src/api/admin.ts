/** Reads of the instance that several of its pages share. */
import { queryOptions } from "@tanstack/react-query";
import { api, ok } from "./client";

/** The plans of the instance, the lowest first. */
export const plansQuery = queryOptions({
  queryKey: ["admin", "plans"],
  queryFn: async ({ signal }) => (await ok(api.GET("/api/v1/admin/plans", { signal }))).data,
});

/** All settings of the instance with their values. */
export const settingsQuery = queryOptions({
  queryKey: ["admin", "settings"],
  queryFn: ({ signal }) => ok(api.GET("/api/v1/admin/settings", { signal })),
});
