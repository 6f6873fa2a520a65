import { useState } from "react";
import { count } from "@/format/number";
import { perMillion } from "@/pages/models/models";
import { Button } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { toast } from "@/ui/Toaster";
import type { Override } from "./prices";
import { samePlace } from "./useSavePrices";

/** Negotiated prices in short, each with what can be done to it. */
export function PriceList({
  prices,
  none,
  named = ({ model }) => model,
  edit,
}: {
  prices: Override[];
  /** What is said where there are none. */
  none: string;
  /** What a price is called: its models, and where there are several providers its provider. */
  named?: (price: Override) => string;
  /** Left out for who may only read them. */
  edit?: {
    open: (price: Override) => void;
    save: (change: (all: Override[]) => Override[]) => Promise<void>;
  };
}) {
  const [removing, setRemoving] = useState<Override>();
  const remove = async () => {
    if (!removing || !edit) return;
    await edit.save((all) => all.filter((one) => !samePlace(one, removing)));
    toast(`The price of ${named(removing)} is removed`);
  };
  return (
    <>
      {prices.length === 0 && <p className="text-soft">{none}</p>}
      <ul
        aria-label="Negotiated prices"
        className="divide-y divide-line rounded-md border border-line bg-surface empty:hidden"
      >
        {prices.map((override) => (
          <li key={named(override)} className="flex flex-wrap items-center gap-x-4 gap-y-2 px-3 py-2.5">
            <div className="min-w-0 flex-1">
              <code className="font-mono text-xs break-all">{named(override)}</code>
              <p className="text-xs text-soft">
                {perMillion(override.price.input)} in, {perMillion(override.price.output)} out
                {override.price.brackets?.length ? `, ${count(override.price.brackets.length)} for long input` : ""}
              </p>
            </div>
            {edit && (
              <>
                <Button
                  size="small"
                  aria-label={`Edit the price of ${named(override)}`}
                  onClick={() => edit.open(override)}
                >
                  Edit
                </Button>
                <Button
                  size="small"
                  look="danger"
                  aria-label={`Remove the price of ${named(override)}`}
                  onClick={() => setRemoving(override)}
                >
                  Remove
                </Button>
              </>
            )}
          </li>
        ))}
      </ul>
      <ConfirmDialog
        open={removing !== undefined}
        onClose={() => setRemoving(undefined)}
        title={`Remove the price of ${removing && named(removing)}?`}
        action="Remove price"
        danger
        onConfirm={remove}
      >
        <p>From the next call on, costs are said by the price behind it. What was recorded stays as it is.</p>
      </ConfirmDialog>
    </>
  );
}
