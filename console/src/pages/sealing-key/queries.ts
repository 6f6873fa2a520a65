import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import { LIVE_MS } from "@/api/queries";

/** The sealing key as the server has it now. */
export const sealingKeyQuery = queryOptions({
  queryKey: ["admin", "sealing-key"],
  queryFn: ({ signal }) => ok(api.GET("/api/v1/sealing-key", { signal })),
  refetchInterval: LIVE_MS,
});

/** The replacements of the sealing key, newest first, out of the instance's audit log, part by part of that. */
export const rotationsQuery = infiniteQueryOptions({
  queryKey: ["admin", "sealing-key", "rotations"],
  queryFn: ({ pageParam, signal }) => {
    const query = { limit: 100, after: pageParam };
    return ok(api.GET("/api/v1/audit", { params: { query }, signal }));
  },
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (page) => page.next ?? undefined,
  select: ({ pages }) => pages.flatMap(({ data }) => data).filter(({ action }) => action === "sealing_key.rotate"),
});
