import { CircleCheck } from "lucide-react";
import type { Schemas } from "@/api/client";
import { sentence } from "@/api/error";
import { Button } from "@/ui/Button";
import { DialogActions } from "@/ui/Dialog";
import { Note } from "@/ui/Note";

/** What became of a submitted key. */
export function Stored({
  stored,
  provider,
  onClose,
}: {
  stored: Schemas["StoredKeyView"];
  provider: string;
  onClose: () => void;
}) {
  return (
    <div className="flex flex-col gap-4">
      <div role="status" className="flex gap-2.5 rounded-md bg-ok-soft px-3 py-2.5 text-sm">
        <CircleCheck aria-hidden="true" size={16} className="mt-0.5 shrink-0 text-ok" />
        <div className="min-w-0">
          <p className="font-medium text-ok">
            {stored.probed ? `${provider} accepted the key.` : `Stored without asking ${provider}.`}
          </p>
          <p>
            {stored.label} <code className="font-mono text-xs">{stored.mask}</code> serves from the next call on.
          </p>
        </div>
      </div>
      {stored.warning && <Note tone="warn">{sentence(stored.warning)}</Note>}
      {stored.kek_id && (
        <p className="text-xs text-soft">
          Sealed to <code className="font-mono break-all text-text">{stored.kek_id}</code>
        </p>
      )}
      <DialogActions>
        <Button look="primary" onClick={onClose}>
          Done
        </Button>
      </DialogActions>
    </div>
  );
}
