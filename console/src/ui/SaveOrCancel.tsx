import { Button } from "./Button";

/** The end of a form whose fields are a draft: saves it, or goes back to what is stored. */
export function SaveOrCancel({ busy, onCancel }: { busy: boolean; onCancel: () => void }) {
  return (
    <div className="flex gap-2">
      <Button type="submit" look="primary" busy={busy}>
        Save
      </Button>
      <Button onClick={onCancel}>Cancel</Button>
    </div>
  );
}
