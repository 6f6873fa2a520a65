import { useQueryClient } from "@tanstack/react-query";
import { settingsQuery } from "@/api/admin";
import { api, ok } from "@/api/client";
import type { Override } from "./prices";

/**
 * Changes the prices of the instance. The list is replaced as a whole, so it is read again just before, and what others
 * wrote meanwhile stays.
 */
export function useSavePrices() {
  const queries = useQueryClient();
  return async (edit: (all: Override[]) => Override[]) => {
    const { prices } = await queries.fetchQuery({ ...settingsQuery, staleTime: 0 });
    const changed = await ok(api.PATCH("/api/v1/admin/settings", { body: { prices: edit(prices) } }));
    queries.setQueryData(settingsQuery.queryKey, changed);
    // Lists of models tell prices, too.
    await queries.invalidateQueries({ queryKey: ["workspace"] });
  };
}

/** Whether two are the price of the same names. */
export function samePlace(one: Override, other: Pick<Override, "provider" | "model">): boolean {
  return one.provider === other.provider && one.model === other.model;
}
