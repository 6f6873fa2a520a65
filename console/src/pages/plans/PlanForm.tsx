import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { plansQuery } from "@/api/admin";
import { api, ok, type Schemas } from "@/api/client";
import { usd } from "@/format/money";
import { TIERS, type Tier } from "@/pages/models/models";
import { Button } from "@/ui/Button";
import { Checkbox } from "@/ui/Checkbox";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { ErrorNote } from "@/ui/ErrorNote";
import { TextField } from "@/ui/Field";
import { Note } from "@/ui/Note";
import { toast } from "@/ui/Toaster";

type Plan = Schemas["PlanView"];
type Limit = "workspaces" | "members" | "api_keys" | "provider_keys";

const LIMITS: [Limit, string][] = [
  ["workspaces", "Workspaces"],
  ["members", "Members of each workspace"],
  ["api_keys", "API keys of each workspace"],
  ["provider_keys", "Provider keys of each workspace"],
];

/** Makes a plan, or writes another whole plan in the place of one. */
export function PlanForm({ plan, plans, onClose }: { plan: Plan | undefined; plans: Plan[]; onClose: () => void }) {
  const queries = useQueryClient();
  const [id, setId] = useState(plan?.id ?? "");
  const [name, setName] = useState(plan?.name ?? "");
  const [rank, setRank] = useState(String(plan?.rank ?? Math.max(-1, ...plans.map(({ rank }) => rank)) + 1));
  const [monthly, setMonthly] = useState(String(plan?.terms.monthly_credits ?? 0));
  const [byok, setByok] = useState(plan?.terms.byok ?? true);
  const [tiers, setTiers] = useState<Tier[]>(plan?.terms.tiers ?? ["level_1", "embeddings"]);
  const [limits, setLimits] = useState<Record<Limit, string>>({
    workspaces: String(plan?.terms.limits?.workspaces ?? ""),
    members: String(plan?.terms.limits?.members ?? ""),
    api_keys: String(plan?.terms.limits?.api_keys ?? ""),
    provider_keys: String(plan?.terms.limits?.provider_keys ?? ""),
  });
  const taken = !plan && plans.some((other) => other.id === id.trim());
  const save = useMutation({
    mutationFn: () => {
      const terms = {
        monthly_credits: Number(monthly),
        byok,
        tiers,
        limits: {
          workspaces: bound(limits.workspaces),
          members: bound(limits.members),
          api_keys: bound(limits.api_keys),
          provider_keys: bound(limits.provider_keys),
        },
      };
      const params = { path: { plan_id: id.trim() } };
      return ok(
        api.PUT("/api/v1/admin/plans/{plan_id}", { params, body: { name: name.trim(), rank: Number(rank), terms } }),
      );
    },
    onSuccess: async (saved) => {
      await queries.invalidateQueries(plansQuery);
      toast(`The plan ${saved.name} is saved`);
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <Dialog open wide busy={save.isPending} onClose={onClose} title={plan ? `Edit the plan ${plan.name}` : "New plan"}>
      <form onSubmit={submit} className="flex flex-col gap-4">
        <div className="grid gap-4 sm:grid-cols-2">
          <TextField
            label="Name"
            value={name}
            required
            maxLength={100}
            autoComplete="off"
            onChange={(event) => setName(event.target.value)}
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
            value={rank}
            onChange={(event) => setRank(event.target.value)}
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
            onChange={(event) => setMonthly(event.target.value)}
          />
          {LIMITS.map(([limit, label]) => (
            <TextField
              key={limit}
              label={label}
              optional
              hint="Empty: no limit"
              type="number"
              min={0}
              step={1}
              value={limits[limit]}
              onChange={(event) => setLimits({ ...limits, [limit]: event.target.value })}
            />
          ))}
        </div>
        <fieldset className="flex flex-col gap-2.5">
          <legend className="mb-2 text-sm font-medium">May</legend>
          <Checkbox checked={byok} onChange={setByok} label="Use own keys" />
          {(["level_2", "level_3"] as const).map((tier) => (
            <Checkbox
              key={tier}
              checked={tiers.includes(tier)}
              onChange={(checked) =>
                setTiers(checked ? [...tiers, tier].sort(byTier) : tiers.filter((other) => other !== tier))
              }
              label={`Name the tier ${TIERS[tier].name}`}
            />
          ))}
          <p className="text-xs text-soft">Level 1 and Embeddings are open to every plan.</p>
        </fieldset>
        {plan && <Note>Accounts that have this plan keep their terms until they are given it again.</Note>}
        {save.isError && <ErrorNote error={save.error} />}
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
    </Dialog>
  );
}

const ORDER = Object.keys(TIERS) as Tier[];
const byTier = (one: Tier, other: Tier) => ORDER.indexOf(one) - ORDER.indexOf(other);

function bound(text: string): number | null {
  return text.trim() === "" ? null : Number(text);
}
