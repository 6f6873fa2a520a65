import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { providerKeysQuery, providersQuery } from "@/api/queries";
import { isAtLeast, useWorkspace } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import { ErrorState } from "@/ui/ErrorNote";
import { PageBody } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { AccountKeys } from "./AccountKeys";
import { AddKeyDialog } from "./dialogs";
import { KeyList } from "./KeyList";
import { isKey } from "./keys";
import { MemberView } from "./MemberView";
import { ModeNote } from "./ModeNote";
import { useAddKey } from "./useAddKey";

/** The workspace's own keys for providers. */
export function Page() {
  const workspace = useWorkspace();
  const keys = useQuery(providerKeysQuery(workspace.id));
  const providers = useQuery(providersQuery);
  const { adding, provider, add, close } = useAddKey();
  const mayWrite = isAtLeast(workspace.role, "admin");
  const error = (keys.isLoadingError && keys.error) || (providers.isLoadingError && providers.error);
  const retry = () => {
    keys.refetch();
    providers.refetch();
  };
  return (
    <PageBody
      title="Keys"
      lead="Provider keys of this workspace. They are sealed in your browser before they leave it, and no page or answer shows them again."
      actions={
        mayWrite && (
          <Button look="primary" onClick={() => add()}>
            <Plus aria-hidden="true" size={16} /> Add key
          </Button>
        )
      }
    >
      <ModeNote workspace={workspace.id} />
      <AccountKeys providers={providers.data ?? []} />
      {error ? (
        <ErrorState error={error} retry={retry} />
      ) : !keys.data || !providers.data ? (
        <SkeletonRows label="Loading the keys" />
      ) : mayWrite ? (
        <KeyList keys={keys.data.filter(isKey)} providers={providers.data} onAdd={add} />
      ) : (
        <MemberView entries={keys.data} providers={providers.data} />
      )}
      {adding && mayWrite && keys.data && providers.data && (
        <AddKeyDialog provider={provider} providers={providers.data} keys={keys.data.filter(isKey)} onClose={close} />
      )}
    </PageBody>
  );
}
