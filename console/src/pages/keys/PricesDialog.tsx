import { useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { PriceDialog } from "@/pages/provider-detail/PriceDialog";
import { PriceList } from "@/pages/provider-detail/PriceList";
import type { Override } from "@/pages/provider-detail/prices";
import { Button } from "@/ui/Button";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { type Entries, isKey, type Key } from "./keys";
import { useKeyScope } from "./scope";

/** The most prices of one key. */
const MOST = 50;

/** The prices that were negotiated for one key: what is said of the costs of its calls, at its own provider. */
export function PricesDialog({ keyView: key, name, onClose }: { keyView: Key; name: string; onClose: () => void }) {
  const queries = useQueryClient();
  const scope = useKeyScope();
  const [editing, setEditing] = useState<{ override?: Override }>();
  const save = async (edit: (all: Override[]) => Override[]) => {
    // The list is replaced whole: what others wrote of it meanwhile is read first.
    await queries.refetchQueries({ queryKey: scope.listKey, exact: true }, { throwOnError: true });
    const now = queries.getQueryData<Entries>(scope.listKey)?.find((it): it is Key => isKey(it) && it.id === key.id);
    await scope.patch(key.id, { prices: edit(now?.prices ?? key.prices) });
    await queries.invalidateQueries({ queryKey: scope.listKey });
  };
  if (editing) {
    return (
      <PriceDialog
        providers={[{ id: key.provider, name }]}
        override={editing.override}
        taken={key.prices}
        description={`for calls that ${key.label} serves`}
        save={save}
        onClose={() => setEditing(undefined)}
      />
    );
  }
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Negotiated prices of ${name} ${key.label}`}
      description="What its provider bills for calls with this key, in US dollars for a million tokens, where that is not the list price. Usage says costs by them."
    >
      <PriceList
        prices={key.prices}
        none="None. The workspace's prices count, then the instance's, then list prices."
        edit={{ open: (override) => setEditing({ override }), save }}
      />
      <DialogActions>
        <Button onClick={onClose}>Close</Button>
        <Button look="primary" disabled={key.prices.length >= MOST} onClick={() => setEditing({})}>
          <Plus aria-hidden="true" size={16} /> New price
        </Button>
      </DialogActions>
    </Dialog>
  );
}
