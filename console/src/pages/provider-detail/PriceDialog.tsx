import { useMutation } from "@tanstack/react-query";
import { Plus, Trash2 } from "lucide-react";
import { type FormEvent, useRef, useState } from "react";
import { ApiError } from "@/api/error";
import { Button, IconButton } from "@/ui/Button";
import { Combobox } from "@/ui/Combobox";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { ErrorNote } from "@/ui/ErrorNote";
import { Field, TextField } from "@/ui/Field";
import { toast } from "@/ui/Toaster";
import {
  NO_RATES,
  type Override,
  type TypedBracket,
  type TypedRates,
  typedBrackets,
  typedPrice,
  typedRates,
} from "./prices";
import { samePlace } from "./useSavePrices";

/** As a refusal of the server: it is shown like one. */
const OVERTAKEN = {
  code: "precondition_failed",
  detail: "somebody else set a price for these names meanwhile; nothing was saved",
  hint: "Close this and open the price again to see theirs.",
};

const MOST_BRACKETS = 16;
const INSTANCE = "for credits and for own keys that have no negotiated price";

/** Sets the price of the provider's models that fit a pattern. */
export function PriceDialog({
  providers,
  override,
  model = "",
  taken,
  description = INSTANCE,
  save: savePrices,
  onClose,
}: {
  /** Whose models it can be for; of several one is chosen. */
  providers: { id: string; name: string }[];
  /** The one that is edited. */
  override?: Override;
  /** For which model a new one is asked. */
  model?: string;
  /** The prices that there are already. */
  taken: Override[];
  /** Whose calls it is for. */
  description?: string;
  /** Changes the prices among which this one stands. */
  save: (edit: (all: Override[]) => Override[]) => Promise<void>;
  onClose: () => void;
}) {
  const [provider, setProvider] = useState(
    override?.provider ?? (providers.length === 1 ? providers[0]?.id : undefined),
  );
  const [pattern, setPattern] = useState(override?.model ?? model);
  const [rates, setRates] = useState(override ? typedRates(override.price) : NO_RATES);
  const [brackets, setBrackets] = useState(override ? typedBrackets(override.price) : []);
  const [fault, setFault] = useState<string>();
  const nextId = useRef(1000);
  const save = useMutation({
    mutationFn: (next: Override) =>
      savePrices((all) => {
        const now = override && all.find((one) => samePlace(one, override));
        const moves = !override || !samePlace(override, next);
        const isOvertaken = JSON.stringify(now) !== JSON.stringify(override);
        if (isOvertaken || (moves && all.some((one) => samePlace(one, next)))) throw new ApiError(412, OVERTAKEN);
        return now ? all.map((one) => (one === now ? next : one)) : [...all, next];
      }),
    onSuccess: (_, { model }) => {
      toast(`The price of ${model} is saved`, "It counts from the next call.");
      onClose();
    },
  });
  const place = provider && { provider, model: pattern.trim() };
  const isTaken = place && !(override && samePlace(override, place)) && taken.some((other) => samePlace(other, place));
  const add = () => {
    nextId.current += 1;
    setBrackets([...brackets, { ...NO_RATES, id: nextId.current, over: "" }]);
  };
  const change = (id: number, part: Partial<TypedBracket>) =>
    setBrackets(brackets.map((bracket) => (bracket.id === id ? { ...bracket, ...part } : bracket)));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const price = typedPrice(rates, brackets);
    if (typeof price === "string") {
      setFault(price);
      return;
    }
    setFault(undefined);
    if (place) save.mutate({ ...place, price });
  };
  return (
    <Dialog
      open
      wide
      busy={save.isPending}
      onClose={onClose}
      title={
        override
          ? `Price of ${override.model}`
          : `New price${providers.length === 1 ? ` for ${providers[0]?.name}` : ""}`
      }
      description={`In US dollars for a million tokens. It takes the place of the list price, ${description}.`}
    >
      <form onSubmit={submit} noValidate className="flex flex-col gap-5">
        {providers.length > 1 && !override && (
          <Field label="Provider">
            {(control) => (
              <Combobox
                control={control}
                value={provider ?? null}
                onChange={setProvider}
                options={providers.map(({ id, name }) => ({ value: id, label: name }))}
                placeholder="Choose or type"
                empty="No provider is called like that"
              />
            )}
          </Field>
        )}
        <TextField
          label="Models"
          hint="The provider's own name, or a pattern in which * stands for any text. The closest pattern counts."
          required
          maxLength={256}
          autoComplete="off"
          spellCheck={false}
          value={pattern}
          error={isTaken ? "There is a price for these names." : undefined}
          onChange={(event) => setPattern(event.target.value)}
        />
        <RateFields rates={rates} onChange={setRates} />
        {brackets.map((bracket, index) => (
          <fieldset key={bracket.id} className="flex flex-col gap-3 rounded-md border border-line p-3">
            <legend className="px-1 text-sm font-medium">Long input, bracket {index + 1}</legend>
            <div className="flex items-end gap-2">
              <TextField
                className="flex-1"
                label="With more input tokens than"
                inputMode="numeric"
                autoComplete="off"
                value={bracket.over}
                onChange={(event) => change(bracket.id, { over: event.target.value })}
              />
              <IconButton
                label={`Remove bracket ${index + 1}`}
                onClick={() => setBrackets(brackets.filter(({ id }) => id !== bracket.id))}
              >
                <Trash2 size={16} />
              </IconButton>
            </div>
            <RateFields rates={bracket} onChange={(part) => change(bracket.id, part)} />
          </fieldset>
        ))}
        <div>
          <Button size="small" onClick={add} disabled={brackets.length >= MOST_BRACKETS}>
            <Plus aria-hidden="true" size={14} /> Add bracket for long input
          </Button>
        </div>
        {fault && (
          <p role="alert" className="text-bad">
            {fault}
          </p>
        )}
        {save.isError && <ErrorNote error={save.error} />}
        <DialogActions>
          <Button onClick={onClose} disabled={save.isPending}>
            Cancel
          </Button>
          <Button type="submit" look="primary" busy={save.isPending} disabled={!place || isTaken || place.model === ""}>
            Save
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}

const RATES: { name: keyof TypedRates; label: string; hint?: string }[] = [
  { name: "input", label: "Input" },
  { name: "output", label: "Output" },
  { name: "cache_read", label: "From the cache", hint: "Empty: as input" },
  { name: "cache_write", label: "To the cache", hint: "Empty: as input" },
  { name: "request", label: "1,000 requests", hint: "Beside the tokens" },
];

function RateFields({ rates, onChange }: { rates: TypedRates; onChange: (rates: TypedRates) => void }) {
  return (
    <div className="grid grid-cols-2 gap-3 sm:grid-cols-3">
      {RATES.map(({ name, label, hint }) => (
        <TextField
          key={name}
          label={label}
          hint={hint}
          optional={name !== "input" && name !== "output"}
          inputMode="decimal"
          autoComplete="off"
          placeholder="0.00"
          value={rates[name]}
          onChange={(event) =>
            onChange({
              input: rates.input,
              output: rates.output,
              cache_read: rates.cache_read,
              cache_write: rates.cache_write,
              request: rates.request,
              [name]: event.target.value,
            })
          }
        />
      ))}
    </div>
  );
}
