import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Layers, Plus } from "lucide-react";
import { useState } from "react";
import { plansQuery, settingsQuery } from "@/api/admin";
import { api, ok, type Schemas } from "@/api/client";
import { credits } from "@/format/credits";
import { limitText } from "@/pages/account-detail/TermsFacts";
import { tierNames } from "@/pages/models/models";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorState } from "@/ui/ErrorNote";
import { Menu, MenuItem, MenuSeparator } from "@/ui/Menu";
import { PageBody } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { ActionCell, Cell, Table } from "@/ui/Table";
import { toast } from "@/ui/Toaster";
import { PlanForm } from "./PlanForm";

type Plan = Schemas["PlanView"];

/** What accounts may subscribe to. */
export function Page() {
  const queries = useQueryClient();
  const plans = useQuery(plansQuery);
  const settings = useQuery(settingsQuery);
  const [editing, setEditing] = useState<{ plan?: Plan }>();
  const [removing, setRemoving] = useState<Plan>();
  const remove = async () => {
    if (!removing) return;
    await ok(api.DELETE("/api/v1/admin/plans/{plan_id}", { params: { path: { plan_id: removing.id } } }));
    await queries.invalidateQueries(plansQuery);
    toast(`The plan ${removing.name} is removed`);
  };
  return (
    <PageBody
      title="Plans"
      lead="What an account may do and what is included each month. Accounts keep the terms that they subscribed to: to move one to new terms, give it the plan again."
      actions={
        <Button look="primary" onClick={() => setEditing({})}>
          <Plus aria-hidden="true" size={16} /> New plan
        </Button>
      }
    >
      {plans.isPending ? (
        <SkeletonRows label="Loading the plans" />
      ) : plans.isLoadingError ? (
        <ErrorState error={plans.error} retry={() => plans.refetch()} />
      ) : plans.data.length === 0 ? (
        <EmptyState icon={Layers} title="No plans">
          Make one, so that accounts can be given it.
        </EmptyState>
      ) : (
        <Table
          label="Plans"
          head={[
            "Plan",
            { numeric: "A month" },
            "Own keys",
            "Tiers by name",
            { numeric: "Workspaces" },
            { numeric: "Members" },
            { numeric: "API keys" },
            { numeric: "Provider keys" },
          ]}
          actions
        >
          {plans.data.map((plan) => (
            <tr key={plan.id}>
              <Cell>
                <span className="flex flex-wrap items-center gap-x-2">
                  <span className="font-medium">{plan.name}</span>
                  {settings.data?.default_plan === plan.id && (
                    <Badge tone="accent" title="New accounts get it">
                      New accounts
                    </Badge>
                  )}
                </span>
                <code className="font-mono text-xs text-soft">{plan.id}</code>
              </Cell>
              <Cell numeric>{credits(plan.terms.monthly_credits)}</Cell>
              <Cell>{plan.terms.byok ? "Yes" : "No"}</Cell>
              <Cell className="min-w-36">{tiers(plan)}</Cell>
              <Cell numeric>{limitText(plan.terms.limits?.workspaces)}</Cell>
              <Cell numeric>{limitText(plan.terms.limits?.members)}</Cell>
              <Cell numeric>{limitText(plan.terms.limits?.api_keys)}</Cell>
              <Cell numeric>{limitText(plan.terms.limits?.provider_keys)}</Cell>
              <ActionCell>
                <Menu label={`Actions for ${plan.name}`}>
                  <MenuItem onClick={() => setEditing({ plan })}>Edit</MenuItem>
                  <MenuSeparator />
                  <MenuItem danger disabled={settings.data?.default_plan === plan.id} onClick={() => setRemoving(plan)}>
                    Remove
                  </MenuItem>
                </Menu>
              </ActionCell>
            </tr>
          ))}
        </Table>
      )}
      <p className="text-xs text-soft">Members, API keys and provider keys count in each workspace.</p>
      {editing && <PlanForm plan={editing.plan} plans={plans.data ?? []} onClose={() => setEditing(undefined)} />}
      <ConfirmDialog
        open={removing !== undefined}
        onClose={() => setRemoving(undefined)}
        title={`Remove the plan ${removing?.name}?`}
        action="Remove plan"
        danger
        onConfirm={remove}
      >
        <p>Nobody can be given it any more. A plan that an account has is not removed.</p>
      </ConfirmDialog>
    </PageBody>
  );
}

function tiers(plan: Plan): string {
  return plan.terms.tiers.length === 4 ? "All" : tierNames(plan.terms.tiers);
}
