import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { LIVE_MS, policyQuery, providerKeysQuery, providersQuery } from "@/api/queries";
import { AddKeyDialog } from "@/pages/keys/dialogs";
import { isKey } from "@/pages/keys/keys";
import { isAtLeast, useWorkspace } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import { ErrorState } from "@/ui/ErrorNote";
import { PageBody } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { Choices } from "./Choices";
import { LevelMappings, ModelMappings } from "./Mappings";
import { ModelList } from "./ModelList";
import { modelsQuery } from "./models";
import { NegotiatedPrices } from "./NegotiatedPrices";
import { Presets } from "./Presets";

/** Which models the workspace may call, and what stands behind names. */
export function Page() {
  const workspace = useWorkspace();
  const mayWrite = isAtLeast(workspace.role, "admin");
  const models = useQuery(modelsQuery(workspace.id));
  const policy = useQuery({ ...policyQuery(workspace.id), refetchInterval: LIVE_MS });
  const providers = useQuery({ ...providersQuery, enabled: mayWrite });
  const keys = useQuery({ ...providerKeysQuery(workspace.id), enabled: mayWrite });
  const [adding, setAdding] = useState(false);
  const error = (models.isLoadingError && models.error) || (policy.isLoadingError && policy.error);
  return (
    <PageBody
      title="Models"
      lead="What this workspace may call, who would pay for it, and which models stand behind tiers and names."
      actions={
        mayWrite && (
          <Button onClick={() => setAdding(true)} disabled={!providers.data}>
            <Plus aria-hidden="true" size={16} /> Add key
          </Button>
        )
      }
    >
      {error ? (
        <ErrorState
          error={error}
          retry={() => {
            models.refetch();
            policy.refetch();
          }}
        />
      ) : !models.data || !policy.data ? (
        <SkeletonRows label="Loading the models" rows={6} />
      ) : (
        <>
          <Choices models={models.data} policy={policy.data} mayWrite={mayWrite} />
          <Presets key={`${workspace.id}-presets`} policy={policy.data} mayWrite={mayWrite} />
          <ModelMappings key={`${workspace.id}-models`} policy={policy.data} mayWrite={mayWrite} />
          <LevelMappings key={`${workspace.id}-levels`} policy={policy.data} mayWrite={mayWrite} />
          <NegotiatedPrices policy={policy.data} mayWrite={mayWrite} />
          <ModelList models={models.data.models} mayAdd={mayWrite} onAdd={() => setAdding(true)} />
        </>
      )}
      {adding && providers.data && (
        <AddKeyDialog
          provider={undefined}
          providers={providers.data}
          keys={keys.data?.filter(isKey) ?? []}
          onClose={() => setAdding(false)}
        />
      )}
    </PageBody>
  );
}
