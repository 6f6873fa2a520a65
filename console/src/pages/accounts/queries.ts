import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import { LIVE_MS, PAGE_ITEMS } from "@/api/queries";

/** The accounts of the instance, or those whose owner's e-mail has a part, page by page. */
export const accountsQuery = (part: string) =>
  infiniteQueryOptions({
    queryKey: ["admin", "accounts", "all", part],
    queryFn: ({ pageParam, signal }) => {
      const query = { limit: PAGE_ITEMS, after: pageParam, ...(part ? { q: part } : {}) };
      return ok(api.GET("/api/v1/admin/accounts", { params: { query }, signal }));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });

/** One account with its plan and its credits. */
export const accountQuery = (account: string) =>
  queryOptions({
    queryKey: ["admin", "accounts", "one", account],
    queryFn: ({ signal }) =>
      ok(api.GET("/api/v1/admin/accounts/{account_id}", { params: { path: { account_id: account } }, signal })),
    // Calls of it, and what other admins do with it, are told to nobody else.
    refetchInterval: LIVE_MS,
  });
