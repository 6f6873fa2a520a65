import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { credits as creditsText } from "@/format/credits";
import { usd } from "@/format/money";
import { accountQuery } from "@/pages/accounts/queries";
import { Button } from "@/ui/Button";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { ErrorNote } from "@/ui/ErrorNote";
import { Field, TextField } from "@/ui/Field";
import { Note } from "@/ui/Note";
import { type Option, Select } from "@/ui/Select";
import { toast } from "@/ui/Toaster";

type Kind = Schemas["NewCredits"]["kind"];

const KIND_OPTIONS: Option<Kind>[] = [
  { value: "grant", label: "Grant", detail: "Given by you" },
  { value: "top_up", label: "Top-up", detail: "Bought" },
  { value: "refund", label: "Refund", detail: "Given back for calls that were charged" },
];

/** Gives credits; with a reference, once. */
export function GiveCreditsDialog({ account, onClose }: { account: Schemas["AccountDetail"]; onClose: () => void }) {
  const queries = useQueryClient();
  const [kind, setKind] = useState<Kind>("grant");
  const [amount, setAmount] = useState("");
  const [ends, setEnds] = useState("");
  const [reference, setReference] = useState("");
  const value = Number(amount);
  const isAmount = /^\d{1,9}(\.\d{1,7})?$/.test(amount.trim()) && value > 0 && value <= 100_000_000;
  const give = useMutation({
    mutationFn: async () => {
      const body = {
        kind,
        credits: amount.trim(),
        // The end of the day that was chosen, in the viewer's zone.
        expires_at: ends === "" ? null : new Date(`${ends}T23:59:59`).toISOString(),
        reference: reference.trim() === "" ? null : reference.trim(),
      };
      const params = { path: { account_id: account.id } };
      const call = api.POST("/api/v1/admin/accounts/{account_id}/credits", { params, body });
      const card = await ok(call);
      // 200: it was given before, and nothing was added now.
      return { card, isNew: (await call).response.status === 201 };
    },
    onSuccess: async ({ card, isNew }) => {
      await queries.invalidateQueries(accountQuery(account.id));
      const amount = creditsText(card.granted.credits);
      if (isNew) toast(`${account.owner_email} got ${amount}`, card.reference ?? undefined);
      else toast(`${card.reference} was given before`, `Its ${amount} are not given again.`);
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    give.mutate();
  };
  const owed = account.credits.debt;
  return (
    <Dialog open busy={give.isPending} onClose={onClose} title={`Give credits to ${account.owner_email}`}>
      <form onSubmit={submit} className="flex flex-col gap-4">
        <TextField
          label="Credits"
          hint={
            isAmount ? `Worth ${usd(value * 10_000_000)}` : "One credit is $0.01; up to seven digits behind the point"
          }
          error={amount !== "" && !isAmount ? "A number above 0, at most 100000000." : undefined}
          inputMode="decimal"
          required
          autoComplete="off"
          value={amount}
          onChange={(event) => setAmount(event.target.value)}
        />
        <Field label="Kind">
          {(control) => <Select control={control} value={kind} options={KIND_OPTIONS} onChange={setKind} />}
        </Field>
        <TextField
          label="Last day"
          optional
          hint="What is left lapses at the end of that day, in your zone. Empty: never."
          type="date"
          min={localDay(new Date())}
          value={ends}
          onChange={(event) => setEnds(event.target.value)}
        />
        <TextField
          label="Reference"
          optional
          hint="What they are for, such as an invoice number. The same reference is given once."
          maxLength={200}
          autoComplete="off"
          value={reference}
          onChange={(event) => setReference(event.target.value)}
        />
        {owed.nano_usd > 0 && <Note tone="warn">{creditsText(owed.credits)} that are owed are repaid first.</Note>}
        {reference.trim() === "" && give.isError && (
          <Note tone="warn">
            Look at the account before you try again: without a reference, a repetition gives twice.
          </Note>
        )}
        {give.isError && <ErrorNote error={give.error} />}
        <DialogActions>
          <Button onClick={onClose} disabled={give.isPending}>
            Cancel
          </Button>
          <Button type="submit" look="primary" busy={give.isPending} disabled={!isAmount}>
            Give credits
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}

/** A day as inputs write it, in the viewer's zone. */
function localDay(date: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}
