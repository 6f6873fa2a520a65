import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { providersQuery } from "@/api/queries";
import { AddKeyDialog } from "@/pages/keys/AddKeyDialog";
import { KeyList } from "@/pages/keys/KeyList";
import { accountKeysQuery, accountScope, KeyScopeProvider } from "@/pages/keys/scope";
import { useMe } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import { ErrorState } from "@/ui/ErrorNote";
import { PageBody } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";

/** The caller's keys, which serve all workspaces of the account. */
export function Page() {
  const { user } = useMe();
  const scope = accountScope(user.account_id);
  const keys = useQuery(accountKeysQuery(user.account_id));
  const providers = useQuery(providersQuery);
  const [adding, setAdding] = useState<{ provider?: string }>();
  const error = (keys.isLoadingError && keys.error) || (providers.isLoadingError && providers.error);
  const retry = () => {
    keys.refetch();
    providers.refetch();
  };
  return (
    <KeyScopeProvider value={scope}>
      <PageBody
        title="Personal keys"
        lead="Provider keys of your account. They serve all workspaces that you own, after the workspaces' own keys. They are sealed in your browser before they leave it."
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
