import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { providersQuery } from "@/api/queries";
import { AddKeyDialog } from "@/pages/keys/AddKeyDialog";
import { KeyList } from "@/pages/keys/KeyList";
import { KeyScopeProvider, PLATFORM_SCOPE, platformKeysQuery } from "@/pages/keys/scope";
import { Button } from "@/ui/Button";
import { ErrorState } from "@/ui/ErrorNote";
import { PageBody } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";

/** The keys with which the instance serves managed calls. */
export function Page() {
  const keys = useQuery(platformKeysQuery);
  const providers = useQuery(providersQuery);
  const [adding, setAdding] = useState<{ provider?: string }>();
  const error = (keys.isLoadingError && keys.error) || (providers.isLoadingError && providers.error);
  const retry = () => {
    keys.refetch();
    providers.refetch();
  };
  return (
    <KeyScopeProvider value={PLATFORM_SCOPE}>
      <PageBody
        title="Platform keys"
        lead="Keys of the instance: they serve the calls of everybody that credits pay. They are sealed in your browser before they leave it, and no page or answer shows them again."
        actions={
          <Button look="primary" onClick={() => setAdding({})}>
            <Plus aria-hidden="true" size={16} /> Add key
          </Button>
        }
      >
        {error ? (
          <ErrorState error={error} retry={retry} />
        ) : !keys.data || !providers.data ? (
          <SkeletonRows label="Loading the keys" />
        ) : (
          <KeyList keys={keys.data} providers={providers.data} onAdd={(provider) => setAdding({ provider })} />
        )}
        {adding && providers.data && (
          <AddKeyDialog
            provider={adding.provider}
            providers={providers.data}
            keys={keys.data ?? []}
            onClose={() => setAdding(undefined)}
          />
        )}
      </PageBody>
    </KeyScopeProvider>
  );
}
