import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { providersQuery } from "@/api/queries";
import { Button } from "@/ui/Button";
import { ErrorState } from "@/ui/ErrorNote";
import { PageBody } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { AddKeyDialog } from "./dialogs";
import { KeyList } from "./KeyList";
import type { Key } from "./keys";
import { type KeyScope, KeyScopeProvider } from "./scope";
import { useAddKey } from "./useAddKey";

/** A page of keys that serve more than one workspace: those of an account or of the instance. */
export function SharedKeys({
  title,
  lead,
  scope,
  keys,
}: {
  title: string;
  lead: string;
  scope: KeyScope;
  keys: UseQueryResult<Key[]>;
}) {
  const providers = useQuery(providersQuery);
  const { adding, provider, add, close } = useAddKey();
  const error = (keys.isLoadingError && keys.error) || (providers.isLoadingError && providers.error);
  const retry = () => {
    keys.refetch();
    providers.refetch();
  };
  return (
    <KeyScopeProvider value={scope}>
      <PageBody
        title={title}
        lead={lead}
        actions={
          <Button look="primary" onClick={() => add()}>
            <Plus aria-hidden="true" size={16} /> Add key
          </Button>
        }
      >
        {error ? (
          <ErrorState error={error} retry={retry} />
        ) : !keys.data || !providers.data ? (
          <SkeletonRows label="Loading the keys" />
        ) : (
          <KeyList keys={keys.data} providers={providers.data} onAdd={add} />
        )}
        {adding && keys.data && providers.data && (
          <AddKeyDialog provider={provider} providers={providers.data} keys={keys.data} onClose={close} />
        )}
      </PageBody>
    </KeyScopeProvider>
  );
}
