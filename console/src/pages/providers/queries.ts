import { queryOptions } from "@tanstack/react-query";
import { api, ok, type Schemas } from "@/api/client";

export type Provider = Schemas["ProviderSwitchView"];

/** The providers with what is switched on for each. */
export const switchesQuery = queryOptions({
  queryKey: ["admin", "providers"],
  queryFn: async ({ signal }) => (await ok(api.GET("/api/v1/admin/providers", { signal }))).data,
});
