import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, ok, type Schemas } from "@/api/client";
import { LIVE_MS, PAGE_ITEMS } from "@/api/queries";

export type Transaction = Schemas["List_TransactionView"]["data"][number];

export interface LedgerPage {
  data: Transaction[];
  next: string | undefined;
  /** What there was after its first entry, in billionths of a US dollar; only of the first page, where it is known. */
  balanceNanoUsd: number | undefined;
}

/** What there is, what of it running calls hold, and what the next call may use. */
export const balanceQuery = queryOptions({
  queryKey: ["me", "balance"],
  queryFn: ({ signal }) => ok(api.GET("/v1/billing/balance", { signal })),
  refetchInterval: LIVE_MS,
});

const read = (limit: number, after: string | undefined, signal: AbortSignal) =>
  ok(api.GET("/v1/billing/transactions", { params: { query: { limit, after } }, signal }));

/** Between two answers a call may be charged; so often it is tried to get a list and the balance of one moment. */
const TRIES = 3;

/**
 * The newest entries, and the balance after the newest of them. They are two answers: the balance counts if no entry came
 * between them.
 */
async function readFirst(signal: AbortSignal): Promise<LedgerPage> {
  let page = await read(PAGE_ITEMS, undefined, signal);
  for (let tried = 0; tried < TRIES; tried += 1) {
    const { balance_micro_usd } = await ok(api.GET("/v1/billing/balance", { signal }));
    const newest = (await read(1, undefined, signal)).data[0]?.id;
    const { data, next } = page;
    if (newest === data[0]?.id) return { data, next: next ?? undefined, balanceNanoUsd: balance_micro_usd * 1000 };
    page = await read(PAGE_ITEMS, undefined, signal);
  }
  return { data: page.data, next: page.next ?? undefined, balanceNanoUsd: undefined };
}

/** The ledger, newest first, part by part; new entries appear as long as the first part alone is shown. */
export const ledgerQuery = infiniteQueryOptions({
  queryKey: ["me", "ledger"],
  queryFn: async ({ pageParam, signal }): Promise<LedgerPage> => {
    if (pageParam === undefined) return readFirst(signal);
    const { data, next } = await read(PAGE_ITEMS, pageParam, signal);
    return { data, next: next ?? undefined, balanceNanoUsd: undefined };
  },
  initialPageParam: undefined as string | undefined,
  getNextPageParam: ({ next }) => next,
  refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) > 1 ? false : LIVE_MS),
});
