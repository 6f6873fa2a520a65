import { type FormEvent, useRef, useState } from "react";
import { keyFault } from "@/seal";
import { Button } from "@/ui/Button";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { ErrorNote } from "@/ui/ErrorNote";
import type { Key, Provider } from "./keys";
import { Progress } from "./progress";
import { SealingNote } from "./SealingNote";
import { SecretField, takeKey } from "./SecretField";
import { Stored } from "./Stored";
import { useKeyScope } from "./scope";
import { useSubmitKey } from "./useSubmitKey";

/** Puts a new key in the place of a stored one: same label, same order, same destination. */
export function RotateKeyDialog({
  keyView: old,
  provider,
  onClose,
}: {
  keyView: Key;
  provider: Provider;
  onClose: () => void;
}) {
  const scope = useKeyScope();
  const [fault, setFault] = useState<string>();
  const input = useRef<HTMLInputElement>(null);
  const submission = useSubmitKey();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const key = input.current?.value.trim() ?? "";
    const found = keyFault(key);
    setFault(found);
    if (found) return;
    takeKey(input);
    submission.mutate(() => ({
      key,
      provider: provider.id,
      baseUrl: old.base_url ?? provider.base_url,
      submit: (sealed) => scope.rotate(old.id, sealed),
    }));
  };
  if (submission.data) {
    return (
      <Dialog open onClose={onClose} title="Key rotated">
        <Stored stored={submission.data} provider={provider.name} onClose={onClose} />
      </Dialog>
    );
  }
  return (
    <Dialog
      open
      busy={submission.isPending}
      onClose={onClose}
      title={`Rotate ${provider.name} ${old.label}`}
      description="The new key takes the place of the old one, which serves until then. Running calls finish with the old one."
    >
      <form onSubmit={submit} noValidate className="flex flex-col gap-4">
        <SecretField input={input} provider={provider} error={fault} onEdit={() => setFault(undefined)} />
        <SealingNote />
        {submission.step && <Progress step={submission.step} provider={provider.name} />}
        {submission.isError && (
          <div className="flex flex-col gap-2">
            <ErrorNote error={submission.error} title="The old key stays" />
            <p className="text-xs text-soft">The field was emptied when you submitted. Paste the key again to retry.</p>
          </div>
        )}
        <DialogActions>
          <Button onClick={onClose} disabled={submission.isPending}>
            Cancel
          </Button>
          <Button type="submit" look="primary" busy={submission.isPending}>
            Seal and rotate
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
