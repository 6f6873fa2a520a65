import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { accountQuery } from "@/pages/accounts/queries";
import { Button } from "@/ui/Button";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { ErrorNote } from "@/ui/ErrorNote";
import { TextField } from "@/ui/Field";
import { toast } from "@/ui/Toaster";

/** Changes what the account's charges are multiplied by. */
export function RateDialog({ account, onClose }: { account: Schemas["AccountDetail"]; onClose: () => void }) {
  const queries = useQueryClient();
  const [rate, setRate] = useState(account.credit_rate);
  const change = useMutation({
    mutationFn: () => {
      const params = { path: { account_id: account.id } };
      return ok(api.PATCH("/api/v1/admin/accounts/{account_id}", { params, body: { credit_rate: rate.trim() } }));
    },
    onSuccess: async () => {
      await queries.invalidateQueries(accountQuery(account.id));
      toast("Rate changed");
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    change.mutate();
  };
  return (
    <Dialog
      open
      busy={change.isPending}
      onClose={onClose}
      title={`Rate of ${account.owner_email}`}
      description="Counts from the next call on. Running calls are charged at the rate with which they began."
    >
      <form onSubmit={submit} className="flex flex-col gap-4">
        <TextField
          label="Charges are multiplied by"
          hint="0 to 1000. 1: as for everybody; 0.8: a fifth less; 0: managed calls take no credits."
          inputMode="decimal"
          required
          autoComplete="off"
          value={rate}
          onChange={(event) => setRate(event.target.value)}
        />
        {change.isError && <ErrorNote error={change.error} />}
        <DialogActions>
          <Button onClick={onClose} disabled={change.isPending}>
            Cancel
          </Button>
          <Button
            type="submit"
            look="primary"
            busy={change.isPending}
            disabled={rate.trim() === "" || rate.trim() === account.credit_rate}
          >
            Save
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
