import { queryOptions } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import { LIVE_MS } from "@/api/queries";

/** The sealing key as the server has it now. */
export const sealingKeyQuery = queryOptions({
  queryKey: ["admin", "sealing-key"],
  queryFn: ({ signal }) => ok(api.GET("/api/v1/sealing-key", { signal })),
  refetchInterval: LIVE_MS,
});
