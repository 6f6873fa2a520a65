import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import { PAGE_ITEMS } from "@/api/queries";

/** The accounts of the instance, part by part. */
export const accountsQuery = infiniteQueryOptions({
  queryKey: ["admin", "accounts"],
  queryFn: ({ pageParam, signal }) => {
    const query = { limit: PAGE_ITEMS, after: pageParam };
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
  });
