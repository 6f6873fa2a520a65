import { useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { count } from "@/format/number";
import { perMillion } from "@/pages/models/models";
import { PriceDialog } from "@/pages/provider-detail/PriceDialog";
import type { Override } from "@/pages/provider-detail/prices";
import { samePlace } from "@/pages/provider-detail/useSavePrices";
import { Button } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { toast } from "@/ui/Toaster";
import { type Entries, isKey, type Key } from "./keys";
import { useKeyScope } from "./scope";

/** The most prices of one key. */
const MOST = 50;

/** The prices that were negotiated for one key: what is said of the costs of its calls, at its own provider. */
export function PricesDialog({ keyView: key, name, onClose }: { keyView: Key; name: string; onClose: () => void }) {
  const queries = useQueryClient();
  const scope = useKeyScope();
  const [editing, setEditing] = useState<{ override?: Override }>();
  const [removing, setRemoving] = useState<Override>();
  const save = async (edit: (all: Override[]) => Override[]) => {
    // The list is replaced whole: what others wrote of it meanwhile is read first.
    await queries.refetchQueries({ queryKey: scope.listKey, exact: true }, { throwOnError: true });
    const now = queries.getQueryData<Entries>(scope.listKey)?.find((it): it is Key => isKey(it) && it.id === key.id);
    await scope.patch(key.id, { prices: edit(now?.prices ?? key.prices) });
    await queries.invalidateQueries({ queryKey: scope.listKey });
  };
  const remove = async () => {
    if (!removing) return;
    await save((all) => all.filter((one) => !samePlace(one, removing)));
    toast(`The price of ${removing.model} is removed`);
  };
  if (editing) {
    return (
      <PriceDialog
        provider={{ id: key.provider, name }}
        override={editing.override}
        taken={key.prices.map(({ model }) => model)}
        description={`for calls that ${key.label} serves`}
        save={save}
        onClose={() => setEditing(undefined)}
      />
    );
  }
  return (
    <>
      <Dialog
        open={!removing}
        onClose={onClose}
        title={`Negotiated prices of ${name} ${key.label}`}
        description="What its provider bills for calls with this key, in US dollars for a million tokens, where that is not the list price. Usage says costs by them."
      >
        {key.prices.length === 0 ? (
          <p className="text-soft">None. The workspace's prices count, then the instance's, then list prices.</p>
        ) : (
          <ul aria-label="Negotiated prices" className="divide-y divide-line rounded-md border border-line">
            {key.prices.map((override) => (
              <li key={override.model} className="flex flex-wrap items-center gap-x-4 gap-y-2 px-3 py-2.5">
                <div className="min-w-0 flex-1">
                  <code className="font-mono text-xs break-all">{override.model}</code>
                  <p className="text-xs text-soft">
                    {perMillion(override.price.input)} in, {perMillion(override.price.output)} out
                    {override.price.brackets?.length ? `, ${count(override.price.brackets.length)} for long input` : ""}
                  </p>
                </div>
                <Button
                  size="small"
                  aria-label={`Edit the price of ${override.model}`}
                  onClick={() => setEditing({ override })}
                >
                  Edit
                </Button>
                <Button
                  size="small"
                  look="danger"
                  aria-label={`Remove the price of ${override.model}`}
                  onClick={() => setRemoving(override)}
                >
                  Remove
                </Button>
              </li>
            ))}
          </ul>
        )}
        <DialogActions>
          <Button onClick={onClose}>Close</Button>
          <Button look="primary" disabled={key.prices.length >= MOST} onClick={() => setEditing({})}>
            <Plus aria-hidden="true" size={16} /> New price
          </Button>
        </DialogActions>
      </Dialog>
      <ConfirmDialog
        open={removing !== undefined}
        onClose={() => setRemoving(undefined)}
        title={`Remove the price of ${removing?.model}?`}
        action="Remove price"
        danger
        onConfirm={remove}
      >
        <p>From the next call on, costs are said by the price behind it. What was recorded stays as it is.</p>
      </ConfirmDialog>
    </>
  );
}
