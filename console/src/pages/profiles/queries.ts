import { queryOptions } from "@tanstack/react-query";
import { api, ok } from "@/api/client";

/** The profiles that there are. */
export const profilesQuery = queryOptions({
  queryKey: ["admin", "profiles"],
  queryFn: async ({ signal }) => (await ok(api.GET("/api/v1/admin/profiles", { signal }))).data,
  staleTime: 300_000,
});

/** What a profile would change; nothing is changed by asking. */
export const previewQuery = (name: string) =>
  queryOptions({
    queryKey: ["admin", "profiles", name],
    queryFn: ({ signal }) => {
      const params = { path: { name } };
      return ok(api.POST("/api/v1/admin/profiles/{name}", { params, body: { dry_run: true }, signal }));
    },
  });
