import { useMutation, useQueryClient } from "@tanstack/react-query";
import { toastError } from "@/ui/Toaster";
import { type Entries, isKey } from "./keys";
import { useKeyScope } from "./scope";

/**
 * Puts the keys of a provider into an order; shown at once, put back if the server refuses. Moves that follow each other
 * fast are sent one after the other, so that the last one counts.
 */
export function useOrder(provider: string): (ids: string[]) => void {
  const queries = useQueryClient();
  const scope = useKeyScope();
  const query = { queryKey: scope.listKey };
  const mutationKey = ["order", ...scope.listKey];
  const order = useMutation({
    mutationKey,
    scope: { id: JSON.stringify([...mutationKey, provider]) },
    mutationFn: (key_ids: string[]) => scope.order({ provider, key_ids }),
    onMutate: async (ids) => {
      await queries.cancelQueries(query);
      const place = new Map(ids.map((id, index) => [id, index]));
      queries.setQueryData<Entries>(query.queryKey, (entries) =>
        entries?.map((entry) => (isKey(entry) ? { ...entry, position: place.get(entry.id) ?? entry.position } : entry)),
      );
    },
    onError: toastError,
    onSettled: () => {
      // What the server has before the last move would show as a jump back.
      if (queries.isMutating({ mutationKey }) === 1) return queries.invalidateQueries(query);
    },
  });
  return order.mutate;
}
