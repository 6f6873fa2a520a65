import { queryOptions } from "@tanstack/react-query";
import { fetchSealingKey } from "@/sealing";

/** To what keys are sealed; its fingerprint was computed in this browser. */
export const publicKeyQuery = queryOptions({
  queryKey: ["sealing-key"],
  queryFn: ({ signal }) => fetchSealingKey(signal),
});
