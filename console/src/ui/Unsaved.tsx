import { useBlocker } from "@tanstack/react-router";
import { useEffect, useSyncExternalStore } from "react";
import { Button } from "./Button";
import { AlertDialog, DialogActions } from "./Dialog";

/** The forms with changes that nobody saved yet. */
const unsaved = new Set<symbol>();
const listeners = new Set<() => void>();

function tell() {
  for (const listener of listeners) listener();
}

/** Says whether a form that saves by a button holds changes: while it does, the page is not left without a question. */
export function useUnsaved(changed: boolean): void {
  useEffect(() => {
    if (!changed) return;
    const form = Symbol("form");
    unsaved.add(form);
    tell();
    return () => {
      unsaved.delete(form);
      tell();
    };
  }, [changed]);
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

interface Move {
  current: { pathname: string };
  next: { pathname: string };
}

/** Filters stand in the address and leave no page. Who is logged out can save nothing any more. */
const leaves = ({ current, next }: Move) => next.pathname !== current.pathname && next.pathname !== "/login";

/**
 * Asks before a page with unsaved changes is left; once, around all pages, so that several forms ask one question. On
 * leaving the console or closing the window the browser asks in its own words.
 */
export function UnsavedGuard() {
  const any = useSyncExternalStore(subscribe, () => unsaved.size > 0);
  const blocker = useBlocker({ shouldBlockFn: leaves, disabled: !any, enableBeforeUnload: true, withResolver: true });
  const stay = () => blocker.reset?.();
  return (
    <AlertDialog open={blocker.status === "blocked"} onClose={stay} title="Leave without saving?">
      <p>This page has changes that are not saved. They are gone when you leave it.</p>
      <DialogActions>
        <Button onClick={() => blocker.proceed?.()}>Leave without saving</Button>
        <Button look="primary" onClick={stay}>
          Stay here
        </Button>
      </DialogActions>
    </AlertDialog>
  );
}
