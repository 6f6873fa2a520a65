import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import { LIVE_MS, PAGE_ITEMS } from "@/api/queries";

/** The sealing key as the server has it now. */
export const sealingKeyQuery = queryOptions({
  queryKey: ["admin", "sealing-key"],
  queryFn: ({ signal }) => ok(api.GET("/api/v1/sealing-key", { signal })),
  refetchInterval: LIVE_MS,
});

/** The replacements of the sealing key, newest first, as the instance's audit log tells them, part by part. */
export const rotationsQuery = infiniteQueryOptions({
  queryKey: ["admin", "sealing-key", "rotations"],
  queryFn: ({ pageParam, signal }) => {
    const query = { action: "sealing_key.rotate", limit: PAGE_ITEMS, after: pageParam };
    return ok(api.GET("/api/v1/audit", { params: { query }, signal }));
  },
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (page) => page.next ?? undefined,
  select: ({ pages }) => pages.flatMap(({ data }) => data),
});
