import { Download } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { bytes } from "@/format/number";
import { Button } from "@/ui/Button";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { download } from "@/ui/download";
import { ErrorNote } from "@/ui/ErrorNote";
import { Spinner } from "@/ui/Spinner";
import { exportCalls } from "./export";
import type { Period } from "./period";
import type { OnlyCalls } from "./queries";

/** Saves the calls that the page shows as a file, all of them, not only those that were loaded. */
export function ExportButton({ workspace, period, only }: { workspace: string; period: Period; only: OnlyCalls }) {
  const [size, setSize] = useState<number>();
  const [error, setError] = useState<unknown>();
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);
  const run = async () => {
    const controller = new AbortController();
    running.current = controller;
    setError(undefined);
    setSize(0);
    try {
      const file = await exportCalls(workspace, period, only, setSize, controller.signal);
      download(file, `usage-${period.from}-${period.to}.csv`);
      setSize(undefined);
    } catch (reason) {
      if (controller.signal.aborted) return;
      setError(reason);
    }
  };
  const close = () => {
    running.current?.abort();
    setSize(undefined);
    setError(undefined);
  };
  return (
    <>
      <Button onClick={run}>
        <Download aria-hidden="true" size={16} /> Export CSV
      </Button>
      <Dialog open={size !== undefined} onClose={close} title="Export the requests">
        {error ? (
          <ErrorNote error={error} title="The export stopped, and nothing was saved" />
        ) : (
          <p role="status" className="flex items-center gap-2.5">
            <Spinner /> Reading, 10,000 requests at a time: {bytes(size ?? 0)} so far.
          </p>
        )}
        <DialogActions>
          <Button onClick={close}>{error ? "Close" : "Cancel"}</Button>
          {error !== undefined && (
            <Button look="primary" onClick={run}>
              Try again
            </Button>
          )}
        </DialogActions>
      </Dialog>
    </>
  );
}
