import { Plus } from "lucide-react";
import { useState } from "react";
import { count } from "@/format/number";
import { perMillion } from "@/pages/models/models";
import { Button } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { Menu, MenuItem, MenuSeparator } from "@/ui/Menu";
import { Section } from "@/ui/Page";
import { ActionCell, Cell, Table } from "@/ui/Table";
import { toast } from "@/ui/Toaster";
import { PriceDialog } from "./PriceDialog";
import type { Override, Price } from "./prices";
import { samePlace, useSavePrices } from "./useSavePrices";

/** The prices that the instance sets for a provider's models. */
export function Prices({ provider, overrides }: { provider: { id: string; name: string }; overrides: Override[] }) {
  const own = overrides.filter((one) => one.provider === provider.id);
  const [editing, setEditing] = useState<{ override?: Override }>();
  const [removing, setRemoving] = useState<Override>();
  const savePrices = useSavePrices();
  const remove = async () => {
    if (!removing) return;
    await savePrices((all) => all.filter((one) => !samePlace(one, removing)));
    toast(`The price of ${removing.model} is removed`);
  };
  return (
    <Section
      title="Custom prices"
      lead="Take the place of list prices in this instance, from the next call on. Of the patterns that fit a model, the closest counts."
      actions={
        <Button onClick={() => setEditing({})} disabled={overrides.length >= 200}>
          <Plus aria-hidden="true" size={16} /> New price
        </Button>
      }
    >
      {own.length === 0 ? (
        <p className="text-soft">None. List prices count.</p>
      ) : (
        <Table
          label="Custom prices"
          head={[
            "Models",
            { numeric: "Input, $ / M tokens" },
            { numeric: "Output" },
            { numeric: "From the cache" },
            { numeric: "To the cache" },
            { numeric: "1,000 requests" },
          ]}
          actions
        >
          {own.map((override) => (
            <PriceRows
              key={override.model}
              override={override}
              onEdit={() => setEditing({ override })}
              onRemove={() => setRemoving(override)}
            />
          ))}
        </Table>
      )}
      {editing && (
        <PriceDialog
          providers={[provider]}
          override={editing.override}
          taken={overrides}
          save={savePrices}
          onClose={() => setEditing(undefined)}
        />
      )}
      <ConfirmDialog
        open={removing !== undefined}
        onClose={() => setRemoving(undefined)}
        title={`Remove the price of ${removing?.model}?`}
        action="Remove price"
        danger
        onConfirm={remove}
      >
        <p>
          From the next call on, list prices count for these models. What was charged stays as it is. Where a model has
          no list price, the settings say whether its calls are refused (<code>unpriced_managed</code>,{" "}
          <code>unpriced_byok</code>).
        </p>
      </ConfirmDialog>
    </Section>
  );
}

function PriceRows({
  override: { model, price },
  onEdit,
  onRemove,
}: {
  override: Override;
  onEdit: () => void;
  onRemove: () => void;
}) {
  return (
    <>
      <tr>
        <Cell className="min-w-40">
          <code className="font-mono text-xs break-all">{model}</code>
        </Cell>
        <Rates rates={price} />
        <ActionCell>
          <Menu label={`Actions for the price of ${model}`}>
            <MenuItem onClick={onEdit}>Edit</MenuItem>
            <MenuSeparator />
            <MenuItem danger onClick={onRemove}>
              Remove
            </MenuItem>
          </Menu>
        </ActionCell>
      </tr>
      {price.brackets?.map(({ over_input_tokens, rates }) => (
        <tr key={over_input_tokens} className="text-soft">
          <Cell className="pl-8 text-xs whitespace-nowrap">over {count(over_input_tokens)} input tokens</Cell>
          <Rates rates={rates} />
          <ActionCell />
        </tr>
      ))}
    </>
  );
}

function Rates({ rates }: { rates: Omit<Price, "brackets"> }) {
  const cell = (rate: string | null | undefined, none: string) => (
    <Cell numeric>{rate ? perMillion(rate) : <span className="text-soft">{none}</span>}</Cell>
  );
  return (
    <>
      {cell(rates.input, "–")}
      {cell(rates.output, "–")}
      {cell(rates.cache_read, "as input")}
      {cell(rates.cache_write, "as input")}
      {cell(rates.request, "none")}
    </>
  );
}
