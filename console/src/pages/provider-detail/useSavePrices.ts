import { useQueryClient } from "@tanstack/react-query";
import { changeSettings } from "@/api/admin";
import type { Override } from "./prices";

/** Changes the prices of the instance; what others wrote meanwhile stays. */
export function useSavePrices() {
  const queries = useQueryClient();
  return async (edit: (all: Override[]) => Override[]) => {
    await changeSettings(queries, ({ prices }) => ({ prices: edit(prices) }));
    // Lists of models tell prices, too.
    await Promise.all([
      queries.invalidateQueries({ queryKey: ["admin", "providers"] }),
      queries.invalidateQueries({ queryKey: ["workspace"] }),
    ]);
  };
}

/** Whether two are the price of the same names. */
export function samePlace(one: Override, other: Pick<Override, "provider" | "model">): boolean {
  return one.provider === other.provider && one.model === other.model;
}
