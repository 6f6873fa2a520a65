import { plural } from "@/format/number";
import { Button } from "@/ui/Button";

/** Stays in sight while a long form holds changes: how many there are, and what to do with them. */
export function SaveBar({
  changes,
  faults,
  onSave,
  onDiscard,
}: {
  changes: number;
  faults: number;
  onSave: () => void;
  onDiscard: () => void;
}) {
  if (changes === 0) return null;
  return (
    <section
      aria-label="Changes"
      className="sticky bottom-4 z-10 flex flex-col gap-3 rounded-lg border border-line bg-surface px-4 py-3 shadow-float"
    >
      <div className="flex flex-wrap items-center justify-between gap-3">
        <p role="status">
          {plural(changes, "setting")} changed
          {faults > 0 && <span className="text-bad">; {plural(faults, "value")} marked above must be mended</span>}
        </p>
        <div className="flex gap-2">
          <Button onClick={onDiscard}>Discard</Button>
          <Button look="primary" disabled={faults > 0} onClick={onSave}>
            Save…
          </Button>
        </div>
      </div>
    </section>
  );
}
