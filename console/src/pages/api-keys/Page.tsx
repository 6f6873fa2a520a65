import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { Plus, SquareTerminal } from "lucide-react";
import { useState } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { membersQuery } from "@/api/queries";
import { useNewDialog } from "@/shell/newDialog";
import { useMe, useWorkspace } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorState } from "@/ui/ErrorNote";
import { PageBody } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { Pager } from "@/ui/Table";
import { toast } from "@/ui/Toaster";
import { ApiKeyTable } from "./ApiKeyTable";
import { EditKeyDialog } from "./EditKeyDialog";
import { NewKeyDialog } from "./NewKeyDialog";
import { apiKeysQuery } from "./queries";

/** The keys with which programs call models and the API. */
export function Page() {
  const workspace = useWorkspace();
  const me = useMe();
  const queries = useQueryClient();
  const keys = useInfiniteQuery(apiKeysQuery(workspace.id));
  const [minting, setMinting] = useNewDialog();
  const [editing, setEditing] = useState<Schemas["ApiKeyView"]>();
  const [revoking, setRevoking] = useState<Schemas["ApiKeyView"]>();
  const all = keys.data?.pages.flatMap(({ data }) => data) ?? [];
  const others = all.some(({ user_id }) => user_id !== me.user.id);
  const members = useInfiniteQuery({ ...membersQuery(workspace.id), enabled: others });
  const people = new Map(
    members.data?.pages.flatMap(({ data }) => data.map(({ user_id, email }): [string, string] => [user_id, email])),
  );
  const revoke = async () => {
    if (!revoking) return;
    const params = { path: { workspace_id: workspace.id, api_key_id: revoking.id } };
    await ok(api.DELETE("/api/v1/workspaces/{workspace_id}/api-keys/{api_key_id}", { params }));
    await queries.invalidateQueries(apiKeysQuery(workspace.id));
    toast(`${revoking.name} is revoked`, "The next call with it is refused.");
  };
  return (
    <PageBody
      title="API keys"
      lead="Programs call models with them, in your name and this workspace's. A key is shown once, when it is minted."
      actions={
        <Button look="primary" onClick={() => setMinting(true)}>
          <Plus aria-hidden="true" size={16} /> New API key
        </Button>
      }
    >
      {keys.isPending ? (
        <SkeletonRows label="Loading the API keys" />
      ) : keys.isLoadingError ? (
        <ErrorState error={keys.error} retry={() => keys.refetch()} />
      ) : all.length === 0 ? (
        <EmptyState
          icon={SquareTerminal}
          title="No API keys yet"
          action={<Button onClick={() => setMinting(true)}>Mint the first</Button>}
        >
          A program sends one as its bearer token, in the place of a provider's key.
        </EmptyState>
      ) : (
        <>
          <ApiKeyTable keys={all} me={me.user.id} people={people} onEdit={setEditing} onRevoke={setRevoking} />
          <Pager more={keys.hasNextPage} busy={keys.isFetchingNextPage} onMore={() => keys.fetchNextPage()} />
        </>
      )}
      {editing && <EditKeyDialog keyView={editing} onClose={() => setEditing(undefined)} />}
      {minting && <NewKeyDialog onClose={() => setMinting(false)} />}
      <ConfirmDialog
        open={revoking !== undefined}
        onClose={() => setRevoking(undefined)}
        title={`Revoke ${revoking?.name}?`}
        action="Revoke"
        danger
        onConfirm={revoke}
      >
        <p>
          Calls with <code className="font-mono text-text">{revoking?.prefix}…</code> are refused from the next one on,
          and so are calls with keys that it minted. This cannot be taken back.
        </p>
      </ConfirmDialog>
    </PageBody>
  );
}
