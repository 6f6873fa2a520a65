import { useQueryClient } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { toast } from "@/ui/Toaster";
import type { Key } from "./keys";
import { useKeyScope } from "./scope";

/** Removes a key that serves several workspaces; what calls meet then differs from one to the next. */
export function RemoveSharedKeyDialog({
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
    if (scope.kind === "instance") {
      await ok(api.DELETE("/api/v1/admin/platform-keys/{key_id}", { params: { path: { key_id: key.id } } }));
    } else {
      const path = { account_id: scope.owner ?? "", key_id: key.id };
      await ok(api.DELETE("/api/v1/accounts/{account_id}/provider-keys/{key_id}", { params: { path } }));
    }
    await queries.invalidateQueries({ queryKey: scope.listKey });
    toast(`${name} ${key.label} is removed`);
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
        {scope.kind === "instance"
          ? "calls that credits pay go to another platform key or to the gateway of the settings; where there is neither, they are refused with 402."
          : "each of your workspaces does without it: its own key serves, or its mode says whether credits pay or calls are refused."}
      </p>
    </ConfirmDialog>
  );
}
