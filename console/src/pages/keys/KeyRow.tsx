import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Badge } from "@/ui/Badge";
import { Menu, MenuItem, MenuSeparator } from "@/ui/Menu";
import { Switch } from "@/ui/Switch";
import { toastError } from "@/ui/Toaster";
import { EditKeyDialog, RotateKeyDialog } from "./dialogs";
import { KeyHealth } from "./KeyHealth";
import { type Entries, isKey, type Key, type Provider } from "./keys";
import { RemoveKeyDialog } from "./RemoveKeyDialog";
import { useKeyScope } from "./scope";

type Open = "edit" | "rotate" | "remove" | undefined;

/** One key: what may be shown of it, how it does, and what can be done with it. */
export function KeyRow({
  keyView: key,
  name,
  provider,
  handle,
}: {
  keyView: Key;
  name: string;
  provider: Provider | undefined;
  handle: ReactNode;
}) {
  const [open, setOpen] = useState<Open>();
  const close = () => setOpen(undefined);
  const enable = useEnable(key);
  return (
    <div className="flex items-center gap-3 py-3 pr-3 pl-4">
      {handle}
      <div className="flex min-w-0 flex-1 flex-col gap-1">
        <div className="flex flex-wrap items-center gap-x-2 gap-y-1">
          <span className="font-medium break-all">{key.label}</span>
          <code className="font-mono text-xs text-soft">{key.mask}</code>
          <StateBadge state={key.state} />
          {key.level !== null && (
            <Badge title="Keys of one level take turns; lower levels come first">Level {key.level}</Badge>
          )}
          {key.fallback && <Badge title="Serves only after everything else failed">Fallback</Badge>}
        </div>
        <KeyHealth keyView={key} />
        {key.base_url && <p className="text-xs break-all text-soft">Sent to {key.base_url}</p>}
      </div>
      <Switch
        label={`${name} ${key.label} may serve`}
        checked={key.enabled}
        disabled={enable.isPending}
        onChange={(checked) => enable.mutate(checked)}
      />
      <Menu label={`Actions for ${name} ${key.label}`}>
        <MenuItem onClick={() => setOpen("rotate")} disabled={!provider}>
          Rotate
        </MenuItem>
        <MenuItem onClick={() => setOpen("edit")}>Edit</MenuItem>
        <MenuSeparator />
        <MenuItem danger onClick={() => setOpen("remove")}>
          Remove
        </MenuItem>
      </Menu>
      {open === "edit" && <EditKeyDialog keyView={key} name={name} onClose={close} />}
      {open === "rotate" && provider && <RotateKeyDialog keyView={key} provider={provider} onClose={close} />}
      <RemoveKeyDialog open={open === "remove"} keyView={key} name={name} onClose={close} />
    </div>
  );
}

function StateBadge({ state }: { state: Key["state"] }) {
  switch (state) {
    case "active":
      return null;
    case "disabled":
      return <Badge>Disabled</Badge>;
    case "dormant":
      return (
        <Badge tone="warn" title="The account's plan lets no own key serve">
          Dormant
        </Badge>
      );
    case "resting":
      return (
        <Badge tone="warn" title="An admin of the instance switched the provider, or own keys for it, off">
          Resting
        </Badge>
      );
  }
}

/** Switches a key on or off; shown at once, put back if the server refuses. */
function useEnable(key: Key) {
  const queries = useQueryClient();
  const scope = useKeyScope();
  const query = { queryKey: scope.listKey };
  return useMutation({
    mutationFn: (enabled: boolean) => scope.patch(key.id, { enabled }),
    onMutate: async (enabled) => {
      await queries.cancelQueries(query);
      queries.setQueryData<Entries>(query.queryKey, (entries) =>
        entries?.map((entry) => (isKey(entry) && entry.id === key.id ? { ...entry, enabled } : entry)),
      );
    },
    onError: toastError,
    onSettled: () => queries.invalidateQueries(query),
  });
}
