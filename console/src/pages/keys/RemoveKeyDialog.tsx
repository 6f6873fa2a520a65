import { useQuery, useQueryClient } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import { useWorkspace } from "@/shell/workspace";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { Skeleton } from "@/ui/Skeleton";
import { toast } from "@/ui/Toaster";
import { type Key, outcome } from "./keys";
import { useKeyScope } from "./scope";

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
  const scope = useKeyScope();
  const remove = async () => {
    const then = await scope.remove(key.id);
    await queries.invalidateQueries({ queryKey: scope.listKey });
    toast(`${name} ${key.label} is removed`, then && outcome(then, name));
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
        {scope.kind === "workspace" ? <Foretold open={open} id={key.id} name={name} /> : SHARED[scope.kind]}
      </p>
    </ConfirmDialog>
  );
}

/** What differs from one workspace to the next, in general words. */
const SHARED = {
  instance:
    "calls that credits pay go to another platform key or to the gateway of the settings; where there is neither, they are refused with 402.",
  account:
    "each of your workspaces does without it: its own key serves, or its mode says whether credits pay or calls are refused.",
};

/** What the workspace's calls will meet, as the server foresees it. */
function Foretold({ open, id, name }: { open: boolean; id: string; name: string }) {
  const workspace = useWorkspace();
  const params = { path: { workspace_id: workspace.id, key_id: id } };
  const detail = useQuery({
    queryKey: ["workspace", workspace.id, "provider-keys", id],
    queryFn: () => ok(api.GET("/api/v1/workspaces/{workspace_id}/provider-keys/{key_id}", { params })),
    enabled: open,
    staleTime: 0,
  });
  if (detail.data) return outcome(detail.data.if_removed, name);
  if (detail.isError) return "what calls will meet is not known.";
  return <Skeleton className="inline-block h-4 w-48 align-middle" />;
}
