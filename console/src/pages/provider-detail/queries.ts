import { queryOptions } from "@tanstack/react-query";
import { api, ok, type Schemas } from "@/api/client";

export type Model = Schemas["ProviderModelView"];

/** The models that are listed for a provider, with what they cost here; also while it is switched off. */
export const modelsQuery = (provider: string) =>
  queryOptions({
    queryKey: ["admin", "providers", provider, "models"],
    queryFn: async ({ signal }) => {
      const params = { path: { provider } };
      return (await ok(api.GET("/api/v1/admin/providers/{provider}/models", { params, signal }))).data;
    },
  });
