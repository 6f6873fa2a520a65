import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { fetchPlan, plansQuery, type TaggedPlan } from "@/api/admin";
import { api, ok } from "@/api/client";
import { useGuardedForm } from "@/api/guarded";
import { usd } from "@/format/money";
import { TIERS } from "@/pages/models/models";
import { Button } from "@/ui/Button";
import { Checkbox } from "@/ui/Checkbox";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { ErrorState } from "@/ui/ErrorNote";
import { TextField } from "@/ui/Field";
import { Note } from "@/ui/Note";
import { SaveFault } from "@/ui/SaveFault";
import { SkeletonRows } from "@/ui/Skeleton";
import { toast } from "@/ui/Toaster";
import { bodyOf, formOf, inOrder, LIMITS, NAMES, type Plan } from "./form";

/** Makes a plan, or writes another whole plan in the place of one. */
export function PlanForm({ plan, plans, onClose }: { plan: Plan | undefined; plans: Plan[]; onClose: () => void }) {
  const [busy, setBusy] = useState(false);
  // As it is now, with what names its state: the list may be older.
  const read = useQuery({
    queryKey: ["admin", "plans", plan?.id ?? ""],
    queryFn: ({ signal }) => fetchPlan(plan?.id ?? "", signal),
    enabled: plan !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  return (
    <Dialog open wide busy={busy} onClose={onClose} title={plan ? `Edit the plan ${plan.name}` : "New plan"}>
      {read.isLoadingError ? (
        <ErrorState error={read.error} retry={() => read.refetch()} />
      ) : plan && !read.data ? (
        <SkeletonRows label="Loading the plan" rows={4} />
      ) : (
        <Fields read={read.data} plans={plans} setBusy={setBusy} onClose={onClose} />
      )}
    </Dialog>
  );
}

function Fields({
  read,
  plans,
  setBusy,
  onClose,
}: {
  read: TaggedPlan | undefined;
  plans: Plan[];
  setBusy: (busy: boolean) => void;
  onClose: () => void;
}) {
  const queries = useQueryClient();
  const plan = read?.plan;
  const [id, setId] = useState(plan?.id ?? "");
  const { form, set, save, theirs } = useGuardedForm({
    first: { form: formOf(plan, plans), etag: read?.etag ?? null },
    readAgain: async () => {
      const now = await fetchPlan(id);
      return { form: formOf(now.plan, plans), etag: now.etag };
    },
    write: (form, _, header) => {
      const params = { path: { plan_id: id.trim() }, header };
      return ok(api.PUT("/api/v1/admin/plans/{plan_id}", { params, body: bodyOf(form) }));
    },
    onSaved: async (saved) => {
      await queries.invalidateQueries(plansQuery);
      toast(`The plan ${saved.name} is saved`);
      onClose();
    },
    setBusy,
  });
  const { name, monthly, byok, tiers } = form;
  const taken = !plan && plans.some((other) => other.id === id.trim());
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField
          label="Name"
          value={name}
          required
          maxLength={100}
          autoComplete="off"
          onChange={(event) => set({ name: event.target.value })}
        />
        <TextField
          label="Id"
          hint="In the API; stays as it is"
          value={id}
          required
          disabled={plan !== undefined}
          maxLength={64}
          autoComplete="off"
          spellCheck={false}
          error={taken ? "There is a plan with this id." : undefined}
          onChange={(event) => setId(event.target.value)}
        />
        <TextField
          label="Rank"
          hint="A higher plan has a higher rank"
          type="number"
          min={0}
          max={9999}
          step={1}
          required
          value={form.rank}
          onChange={(event) => set({ rank: event.target.value })}
        />
        <TextField
          label="Credits a month"
          hint={`Worth ${usd((Number(monthly) || 0) * 10_000_000)} a month`}
          type="number"
          min={0}
          max={100_000_000}
          step={1}
          required
          value={monthly}
          onChange={(event) => set({ monthly: event.target.value })}
        />
        {LIMITS.map((limit) => (
          <TextField
            key={limit}
            label={NAMES[limit]}
            optional
            hint="Empty: no limit"
            type="number"
            min={0}
            step={1}
            value={form[limit]}
            onChange={(event) => set({ [limit]: event.target.value })}
          />
        ))}
      </div>
      <fieldset className="flex flex-col gap-2.5">
        <legend className="mb-2 text-sm font-medium">May</legend>
        <Checkbox checked={byok} onChange={(byok) => set({ byok })} label="Use own keys" />
        {(["level_2", "level_3"] as const).map((tier) => (
          <Checkbox
            key={tier}
            checked={tiers.includes(tier)}
            onChange={(checked) =>
              set({ tiers: checked ? inOrder([...tiers, tier]) : tiers.filter((other) => other !== tier) })
            }
            label={`Name the tier ${TIERS[tier].name}`}
          />
        ))}
        <p className="text-xs text-soft">Level 1 and Embeddings are open to every plan.</p>
      </fieldset>
      {plan && <Note>Accounts that have this plan keep their terms until they are given it again.</Note>}
      <SaveFault what="plan" theirs={theirs?.map((field) => NAMES[field])} error={save.error} />
      <DialogActions>
        <Button onClick={onClose} disabled={save.isPending}>
          Cancel
        </Button>
        <Button
          type="submit"
          look="primary"
          busy={save.isPending}
          disabled={taken || name.trim() === "" || id.trim() === ""}
        >
          {plan ? "Save" : "Make plan"}
        </Button>
      </DialogActions>
    </form>
  );
}
