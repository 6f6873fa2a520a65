import { Download } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { bytes, milliseconds } from "@/format/number";
import { Button } from "@/ui/Button";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { download } from "@/ui/download";
import { ErrorNote } from "@/ui/ErrorNote";
import { Spinner } from "@/ui/Spinner";
import { Export, type Progress, readPart } from "./export";
import type { Period } from "./period";
import type { OnlyCalls } from "./queries";

/** Saves the calls that the page shows as a file, all of them, not only those that were loaded. */
export function ExportButton({ workspace, period, only }: { workspace: string; period: Period; only: OnlyCalls }) {
  const [progress, setProgress] = useState<Progress>();
  const [error, setError] = useState<unknown>();
  const running = useRef<AbortController>(undefined);
  // What was read stays for another try, until the dialog is closed.
  const begun = useRef<Export>(undefined);
  useEffect(() => () => running.current?.abort(), []);
  const run = async () => {
    const controller = new AbortController();
    running.current = controller;
    setError(undefined);
    begun.current ??= new Export(period, only, readPart(workspace));
    try {
      const file = await begun.current.run(setProgress, controller.signal);
      download(file, `usage-${period.from}-${period.to}.csv`);
      close();
    } catch (reason) {
      if (controller.signal.aborted) return;
      setError(reason);
    }
  };
  const close = () => {
    running.current?.abort();
    begun.current = undefined;
    setProgress(undefined);
    setError(undefined);
  };
  return (
    <>
      <Button onClick={run}>
        <Download aria-hidden="true" size={16} /> Export CSV
      </Button>
      <Dialog open={progress !== undefined} onClose={close} title="Export the requests">
        {error ? (
          <ErrorNote error={error} title="The export stopped, and no file was saved yet" />
        ) : (
          <p role="status" className="flex items-center gap-2.5">
            <Spinner /> Reading, 10,000 requests at a time: {bytes(progress?.bytes ?? 0)} so far.
            {progress?.waitMs !== undefined &&
              ` The server has no time now; goes on in ${milliseconds(progress.waitMs)}.`}
          </p>
        )}
        <DialogActions>
          <Button onClick={close}>{error ? "Close" : "Cancel"}</Button>
          {error !== undefined && (
            <Button look="primary" onClick={run}>
              Go on
            </Button>
          )}
        </DialogActions>
      </Dialog>
    </>
  );
}
