import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, ok, type Schemas } from "@/api/client";
import { LIVE_MS, PAGE_ITEMS } from "@/api/queries";

export type Transaction = Schemas["List_TransactionView"]["data"][number];

/** What the server looks for, in the whole ledger. */
interface Only {
  kind?: Transaction["kind"];
  /** From this moment on. */
  from?: string;
  /** Before this moment. */
  to?: string;
}

/** What there is, what of it running calls hold, and what the next call may use. */
export const balanceQuery = queryOptions({
  queryKey: ["me", "balance"],
  queryFn: ({ signal }) => ok(api.GET("/v1/billing/balance", { signal })),
  refetchInterval: LIVE_MS,
});

/** The ledger, newest first, part by part; new entries appear as long as the first part alone is shown. */
export const ledgerQuery = (only: Only) =>
  infiniteQueryOptions({
    queryKey: ["me", "ledger", only],
    queryFn: ({ pageParam, signal }) => {
      const query = { ...only, limit: PAGE_ITEMS, after: pageParam };
      return ok(api.GET("/v1/billing/transactions", { params: { query }, signal }));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) > 1 ? false : LIVE_MS),
  });
