import { useQuery, useQueryClient } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import { providerKeysQuery } from "@/api/queries";
import { useWorkspace } from "@/shell/workspace";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { Skeleton } from "@/ui/Skeleton";
import { toast } from "@/ui/Toaster";
import { type Key, outcome } from "./keys";

/** Says what calls will meet without the key, and removes it. */
export function RemoveKeyDialog({
  open,
  keyView: key,
  name,
  onClose,
}: {
  open: boolean;
  keyView: Key;
  name: string;
  onClose: () => void;
}) {
  const queries = useQueryClient();
  const workspace = useWorkspace();
  const params = { path: { workspace_id: workspace.id, key_id: key.id } };
  const detail = useQuery({
    queryKey: ["workspace", workspace.id, "provider-keys", key.id],
    queryFn: () => ok(api.GET("/api/v1/workspaces/{workspace_id}/provider-keys/{key_id}", { params })),
    enabled: open,
    staleTime: 0,
  });
  const remove = async () => {
    const { then } = await ok(api.DELETE("/api/v1/workspaces/{workspace_id}/provider-keys/{key_id}", { params }));
    await queries.invalidateQueries(providerKeysQuery(workspace.id));
    toast(`${name} ${key.label} is removed`, outcome(then, name));
  };
  return (
    <ConfirmDialog
      open={open}
      onClose={onClose}
      title={`Remove ${name} ${key.label}?`}
      action="Remove key"
      danger
      onConfirm={remove}
    >
      <p>
        The key <code className="font-mono text-text">{key.mask}</code> is deleted here for good. At {name} it stays
        valid until you revoke it there.
      </p>
      <p>
        <span className="font-medium text-text">From the next call on: </span>
        {detail.data ? (
          outcome(detail.data.if_removed, name)
        ) : detail.isError ? (
          "what calls will meet is not known."
        ) : (
          <Skeleton className="inline-block h-4 w-48 align-middle" />
        )}
      </p>
    </ConfirmDialog>
  );
}
