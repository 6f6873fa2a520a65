import { type ReactNode, useState } from "react";
import { asApiError } from "@/api/error";
import { Button } from "./Button";
import { AlertDialog, DialogActions } from "./Dialog";
import { ErrorNote } from "./ErrorNote";
import { TextField } from "./Field";

interface Props {
  open: boolean;
  onClose: () => void;
  title: string;
  /** What will happen. */
  children: ReactNode;
  /** What the button says: the verb of the action. */
  action: string;
  /** What the other button says, where `Cancel` could be taken for the action. */
  dismiss?: string;
  danger?: boolean;
  /** A word that must be typed first, for what cannot be taken back. */
  typed?: string;
  onConfirm: () => Promise<unknown>;
}

/**
 * Says what will happen, asks, does it, and shows what went wrong without closing. While it fades away it says what it
 * said, though whoever opened it has forgotten what it was about.
 */
export function ConfirmDialog(props: Props) {
  const [last, setLast] = useState(props);
  if (props.open && last !== props) setLast(props);
  const { open, onClose, onConfirm } = props;
  const { title, children, action, dismiss = "Cancel", danger, typed } = open ? props : last;
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const [text, setText] = useState("");
  const close = () => {
    setError(undefined);
    setText("");
    onClose();
  };
  const confirm = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await onConfirm();
      close();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <AlertDialog open={open} busy={busy} onClose={close} title={title}>
      {children}
      {typed !== undefined && (
        <TextField
          className="text-text"
          label={`Type ${typed} to confirm`}
          value={text}
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => setText(event.target.value)}
        />
      )}
      {error !== undefined && <ErrorNote error={asApiError(error)} />}
      <DialogActions>
        <Button onClick={close} disabled={busy}>
          {dismiss}
        </Button>
        <Button
          look={danger ? "danger-solid" : "primary"}
          busy={busy}
          disabled={typed !== undefined && text !== typed}
          onClick={confirm}
        >
          {action}
        </Button>
      </DialogActions>
    </AlertDialog>
  );
}
