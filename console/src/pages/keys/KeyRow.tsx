import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Badge } from "@/ui/Badge";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { Menu, MenuItem, MenuSeparator } from "@/ui/Menu";
import { Switch } from "@/ui/Switch";
import { toastError } from "@/ui/Toaster";
import { EditKeyDialog, PricesDialog, RotateKeyDialog } from "./dialogs";
import { KeyHealth } from "./KeyHealth";
import { type Entries, isKey, type Key, type Provider } from "./keys";
import { RemoveKeyDialog } from "./RemoveKeyDialog";
import { useKeyScope } from "./scope";

type Open = "edit" | "rotate" | "remove" | "off" | "prices" | undefined;

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
  const isLast = useIsLast(key);
  const scope = useKeyScope();
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
        onChange={(checked) => (!checked && isLast() ? setOpen("off") : enable.mutate(checked))}
      />
      <Menu label={`Actions for ${name} ${key.label}`}>
        <MenuItem onClick={() => setOpen("rotate")} disabled={!provider}>
          Rotate
        </MenuItem>
        <MenuItem onClick={() => setOpen("edit")}>Edit</MenuItem>
        {/* What a platform key costs the instance stands in the instance's own prices. */}
        {scope.kind !== "instance" && <MenuItem onClick={() => setOpen("prices")}>Prices</MenuItem>}
        <MenuSeparator />
        <MenuItem danger onClick={() => setOpen("remove")}>
          Remove
        </MenuItem>
      </Menu>
      {open === "edit" && <EditKeyDialog keyView={key} name={name} onClose={close} />}
      {open === "prices" && <PricesDialog keyView={key} name={name} onClose={close} />}
      {open === "rotate" && provider && <RotateKeyDialog keyView={key} provider={provider} onClose={close} />}
      <ConfirmDialog
        open={open === "off"}
        onClose={close}
        title={`Switch ${name} ${key.label} off?`}
        action="Switch off"
        danger
        onConfirm={() => enable.mutateAsync(false)}
      >
        <p>{LAST[scope.kind].replace("PROVIDER", name)}</p>
        <p>The key is kept and serves again when it is switched on.</p>
      </ConfirmDialog>
      <RemoveKeyDialog open={open === "remove"} keyView={key} name={name} onClose={close} />
    </div>
  );
}

/** What the last key for a provider that may serve leaves behind when it is switched off. */
const LAST = {
  workspace:
    "No other key of this workspace for PROVIDER may serve. Where the mode looks at own keys, calls of its models are refused with 402 from the next one on, unless a personal key of the owner serves or credits may step in for a key that failed.",
  account:
    "No other key of this account for PROVIDER may serve. Workspaces without a key of their own do without from the next call on: where the mode looks at own keys, calls of its models are refused with 402, unless credits may step in for a key that failed.",
  instance:
    "No other platform key for PROVIDER may serve. From the next call on, calls of its models that credits pay go to the gateway of the settings; where there is none, they are refused with 402.",
};

/** Whether no other key for the provider may serve in the same place. */
function useIsLast(key: Key): () => boolean {
  const queries = useQueryClient();
  const scope = useKeyScope();
  return () => {
    const entries = queries.getQueryData<Entries>(scope.listKey) ?? [];
    return !entries.some((it) => isKey(it) && it.id !== key.id && it.provider === key.provider && it.enabled);
  };
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
