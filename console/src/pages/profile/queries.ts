import { queryOptions } from "@tanstack/react-query";
import { api, ok } from "@/api/client";

/** Where one is logged in. */
export const sessionsQuery = queryOptions({
  queryKey: ["me", "sessions"],
  queryFn: async ({ signal }) => (await ok(api.GET("/api/v1/sessions", { signal }))).data,
});
