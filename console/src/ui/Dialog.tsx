import { AlertDialog as BaseAlert } from "@base-ui/react/alert-dialog";
import { Dialog as Base } from "@base-ui/react/dialog";
import { X } from "lucide-react";
import { type ReactNode, useRef } from "react";
import { buttonClass } from "./Button";
import { cx } from "./cx";

const backdrop =
  "fixed inset-0 z-40 bg-veil transition-opacity duration-150 data-ending-style:opacity-0 data-starting-style:opacity-0";
const popup = cx(
  "fixed z-50 flex max-h-[calc(100dvh-2rem)] w-[calc(100vw-2rem)] flex-col overflow-hidden rounded-lg border border-line bg-surface shadow-float",
  "top-1/2 left-1/2 -translate-x-1/2 -translate-y-1/2 outline-none",
  "transition-opacity duration-150 data-ending-style:opacity-0 data-starting-style:opacity-0",
);

interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: string;
  description?: ReactNode;
  children: ReactNode;
  wide?: boolean;
  /** Shows what cannot be shown again, or holds what took long to write: a click beside it does not close it. */
  once?: boolean;
  /** Something is under way whose end must be seen here: nothing closes it until then. */
  busy?: boolean;
}

/** A window over the page. Escape and a click beside it close it. */
export function Dialog({ open, onClose, title, description, children, wide, once, busy }: DialogProps) {
  const box = useRef<HTMLDivElement>(null);
  // Where one types, not the button that closes. A finger would bring up the keyboard of the screen.
  const first = (by: string) =>
    by === "touch" ? true : (box.current?.querySelector<HTMLElement>("input, textarea") ?? true);
  return (
    <Base.Root
      open={open}
      onOpenChange={(next) => !next && !busy && onClose()}
      disablePointerDismissal={once === true || busy === true}
    >
      <Base.Portal>
        <Base.Backdrop className={backdrop} />
        <Base.Popup ref={box} initialFocus={first} className={cx(popup, wide ? "max-w-2xl" : "max-w-lg")}>
          <header className="flex items-start gap-4 border-b border-line px-5 py-4">
            <div className="min-w-0 flex-1">
              <Base.Title className="pt-1 text-base font-semibold">{title}</Base.Title>
              {description && <Base.Description className="mt-1 text-sm text-soft">{description}</Base.Description>}
            </div>
            <Base.Close aria-label="Close" disabled={busy} className={cx(buttonClass("quiet"), "-mr-2 size-8 px-0")}>
              <X size={16} />
            </Base.Close>
          </header>
          <div className="overflow-y-auto px-5 py-4">{children}</div>
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  );
}

/** The row of buttons at the end of a form in a dialog. */
export function DialogActions({ children }: { children: ReactNode }) {
  return <div className="mt-5 flex flex-wrap justify-end gap-2">{children}</div>;
}

/** A question that wants an answer: nothing but its buttons and Escape close it. */
export function AlertDialog({
  open,
  onClose,
  title,
  children,
  busy,
}: Omit<DialogProps, "description" | "wide" | "once">) {
  return (
    <BaseAlert.Root open={open} onOpenChange={(next) => !next && !busy && onClose()}>
      <BaseAlert.Portal>
        <BaseAlert.Backdrop className={backdrop} />
        <BaseAlert.Popup className={cx(popup, "max-w-md")}>
          <div className="overflow-y-auto p-5">
            <BaseAlert.Title className="text-base font-semibold">{title}</BaseAlert.Title>
            <BaseAlert.Description render={<div />} className="mt-2 flex flex-col gap-3 text-sm text-soft">
              {children}
            </BaseAlert.Description>
          </div>
        </BaseAlert.Popup>
      </BaseAlert.Portal>
    </BaseAlert.Root>
  );
}
