import { Button } from "@/ui/Button";
import { TextField } from "@/ui/Field";
import { ActionCell } from "@/ui/Table";

/** What can be done with a script or a service; who may not write it can look at it. */
export function RowActions({
  what,
  name,
  mayWrite,
  onOpen,
  onRemove,
}: {
  what: "script" | "service";
  name: string;
  mayWrite: boolean;
  onOpen: () => void;
  onRemove: () => void;
}) {
  const open = mayWrite ? "Edit" : "Show";
  return (
    <ActionCell>
      <span className="flex justify-end gap-2">
        <Button size="small" aria-label={`${open} the ${what} ${name}`} onClick={onOpen}>
          {open}
        </Button>
        {mayWrite && (
          <Button size="small" look="danger" aria-label={`Remove the ${what} ${name}`} onClick={onRemove}>
            Remove
          </Button>
        )}
      </span>
    </ActionCell>
  );
}

/** What a script or a service is called. */
export function NameField({ name, onChange }: { name: string; onChange: (name: string) => void }) {
  return (
    <TextField
      label="Name"
      hint="a-z, 0-9 and hyphens"
      value={name}
      required
      maxLength={40}
      autoComplete="off"
      spellCheck={false}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}
