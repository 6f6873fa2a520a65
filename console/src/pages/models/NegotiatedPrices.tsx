import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { providersQuery } from "@/api/queries";
import { changePolicy, type Policy } from "@/pages/ai-config/policy";
import { PriceDialog } from "@/pages/provider-detail/PriceDialog";
import { PriceList } from "@/pages/provider-detail/PriceList";
import type { Override } from "@/pages/provider-detail/prices";
import { useWorkspace } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import { ErrorNote } from "@/ui/ErrorNote";
import { Section } from "@/ui/Page";

/** The most prices of a workspace. */
const MOST = 200;

/** What providers bill for calls on own keys of the workspace, whichever key serves. */
export function NegotiatedPrices({ policy, mayWrite }: { policy: Policy; mayWrite: boolean }) {
  const workspace = useWorkspace();
  const queries = useQueryClient();
  const providers = useQuery({ ...providersQuery, enabled: mayWrite });
  const [editing, setEditing] = useState<{ override?: Override }>();
  const { prices } = policy;
  const save = async (change: (all: Override[]) => Override[]) => {
    await changePolicy(queries, workspace.id, (now) => ({ prices: change(now.prices) }));
    await queries.invalidateQueries({ queryKey: ["workspace", workspace.id] });
  };
  return (
    <Section
      title="Negotiated prices"
      lead="What providers bill for calls on own keys where that is not the list price. A price of the key itself, on the page Keys, comes first. They say costs; nothing is charged by them."
      actions={
        mayWrite && (
          <Button
            size="small"
            onClick={() => setEditing({})}
            disabled={!providers.data || prices.length >= MOST}
            aria-label="Add negotiated price"
          >
            <Plus aria-hidden="true" size={14} /> Add price
          </Button>
        )
      }
    >
      <PriceList
        prices={prices}
        none="None. The instance's prices count, then list prices."
        named={({ provider, model }) => `${provider}/${model}`}
        edit={mayWrite ? { open: (override) => setEditing({ override }), save } : undefined}
      />
      {providers.isLoadingError && <ErrorNote error={providers.error} />}
      {editing && (
        <PriceDialog
          providers={providers.data ?? []}
          override={editing.override}
          taken={prices}
          description="for calls on own keys of this workspace"
          save={save}
          onClose={() => setEditing(undefined)}
        />
      )}
    </Section>
  );
}
