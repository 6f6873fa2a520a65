import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Button } from "@/ui/Button";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { ErrorNote } from "@/ui/ErrorNote";
import { TextField } from "@/ui/Field";
import { Switch } from "@/ui/Switch";
import { toast } from "@/ui/Toaster";
import { changesOf, type Key, LABEL_RULE, labelFault } from "./keys";
import { useKeyScope } from "./scope";

/** Changes what can change of a key without the key. */
export function EditKeyDialog({ keyView: key, name, onClose }: { keyView: Key; name: string; onClose: () => void }) {
  const queries = useQueryClient();
  const scope = useKeyScope();
  // The key itself follows what others make of it.
  const [opened] = useState(key);
  const [label, setLabel] = useState(key.label);
  const fault = labelFault(label.trim());
  const [level, setLevel] = useState(key.level === null ? "" : String(key.level));
  const [fallback, setFallback] = useState(key.fallback);
  const save = useMutation({
    mutationFn: () =>
      scope.patch(
        key.id,
        changesOf(opened, { label: label.trim(), level: level === "" ? null : Number(level), fallback }),
      ),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: scope.listKey });
      toast("Key changed");
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <Dialog open busy={save.isPending} onClose={onClose} title={`Edit ${name} ${key.label}`}>
      <form onSubmit={submit} className="flex flex-col gap-4">
        <TextField
          label="Label"
          hint={fault ? undefined : `${LABEL_RULE}.`}
          error={fault}
          value={label}
          required
          maxLength={64}
          autoComplete="off"
          onChange={(event) => setLabel(event.target.value)}
        />
        <TextField
          label="Level"
          optional
          hint="Keys of one level take turns; lower levels come first, keys without a level last"
          type="number"
          min={0}
          max={9999}
          step={1}
          value={level}
          onChange={(event) => setLevel(event.target.value)}
        />
        <div className="flex items-start justify-between gap-4">
          <div>
            <p className="text-sm font-medium">Fallback</p>
            <p className="text-xs text-soft">
              Serves only after everything else failed{scope.kind === "instance" ? "" : ", credits too"}
            </p>
          </div>
          <Switch label="Fallback" checked={fallback} onChange={setFallback} />
        </div>
        {save.isError && <ErrorNote error={save.error} />}
        <DialogActions>
          <Button onClick={onClose} disabled={save.isPending}>
            Cancel
          </Button>
          <Button type="submit" look="primary" busy={save.isPending} disabled={fault !== undefined}>
            Save
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
