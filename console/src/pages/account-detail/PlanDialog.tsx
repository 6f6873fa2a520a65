import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { credits } from "@/format/credits";
import { Button } from "@/ui/Button";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { ErrorNote } from "@/ui/ErrorNote";
import { Field } from "@/ui/Field";
import { Note } from "@/ui/Note";
import { Select } from "@/ui/Select";
import { toast } from "@/ui/Toaster";

/** Gives the account a plan, or the new terms of the one that it has. */
export function PlanDialog({
  account,
  plans,
  onClose,
}: {
  account: Schemas["AccountDetail"];
  plans: Schemas["PlanView"][];
  onClose: () => void;
}) {
  const queries = useQueryClient();
  const [id, setId] = useState(account.plan);
  const chosen = plans.find((plan) => plan.id === id);
  const change = useMutation({
    mutationFn: () => {
      const params = { path: { account_id: account.id } };
      return ok(api.PUT("/api/v1/admin/accounts/{account_id}/subscription", { params, body: { plan: id } }));
    },
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["admin", "accounts"] });
      toast(`${account.owner_email} has the plan ${chosen?.name ?? id}`);
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    change.mutate();
  };
  return (
    <Dialog open busy={change.isPending} onClose={onClose} title={`Plan of ${account.owner_email}`}>
      <form onSubmit={submit} className="flex flex-col gap-4">
        <Field label="Plan">
          {(control) => (
            <Select
              control={control}
              value={id}
              onChange={setId}
              options={plans.map((plan) => ({
                value: plan.id,
                label: plan.name,
                detail: `${credits(plan.terms.monthly_credits)} a month, ${plan.terms.byok ? "own keys" : "no own keys"}`,
              }))}
            />
          )}
        </Field>
        {chosen && <Note>{consequence(account, chosen)}</Note>}
        {chosen && !chosen.terms.byok && account.subscription.terms.byok && (
          <Note tone="warn">
            Own keys sleep under this plan. They are kept, and serve again with a plan that has them.
          </Note>
        )}
        {change.isError && <ErrorNote error={change.error} />}
        <DialogActions>
          <Button onClick={onClose} disabled={change.isPending}>
            Cancel
          </Button>
          <Button type="submit" look="primary" busy={change.isPending}>
            {id === account.plan ? "Give the present terms" : "Change plan"}
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}

function consequence(account: Schemas["AccountDetail"], plan: Schemas["PlanView"]): string {
  const isSame = plan.id === account.plan;
  const monthly = plan.terms.monthly_credits;
  if (isSame && monthly === account.subscription.terms.monthly_credits) {
    return "The account takes the terms that the plan has now. Its month goes on as it is.";
  }
  return `From the next call on. What is left of this month's included credits ends, ${credits(monthly)} come at once, and months are counted from now. Given and bought credits stay.`;
}
