import { Toast } from "@base-ui/react/toast";
import { CircleCheck, TriangleAlert, X } from "lucide-react";
import { asApiError, sentence } from "@/api/error";
import { buttonClass } from "./Button";
import { cx } from "./cx";

const manager = Toast.createToastManager();

/** Says that something is done. */
export function toast(title: string, description?: string): void {
  manager.add({ title, description, type: "done" });
}

/** Says that something did not work, where no form can. */
export function toastError(error: unknown): void {
  const shown = asApiError(error);
  const description = [shown.hint && sentence(shown.hint), `(${shown.code})`].filter(Boolean).join(" ");
  manager.add({ title: sentence(shown.detail), description, type: "failed", priority: "high", timeout: 10_000 });
}

/** Where toasts appear; once in the application. */
export function Toaster() {
  return (
    <Toast.Provider toastManager={manager}>
      <Toast.Portal>
        <Toast.Viewport className="fixed right-4 bottom-4 z-60 flex w-[calc(100vw-2rem)] max-w-sm flex-col gap-2">
          <Toasts />
        </Toast.Viewport>
      </Toast.Portal>
    </Toast.Provider>
  );
}

function Toasts() {
  const { toasts } = Toast.useToastManager();
  return toasts.map((entry) => (
    <Toast.Root
      key={entry.id}
      toast={entry}
      className="rounded-lg border border-line bg-surface shadow-float transition-opacity data-ending-style:opacity-0 data-starting-style:opacity-0"
    >
      <Toast.Content className="flex gap-2.5 py-3 pr-2 pl-3">
        {entry.type === "failed" ? (
          <TriangleAlert aria-hidden="true" size={16} className="mt-0.5 shrink-0 text-bad" />
        ) : (
          <CircleCheck aria-hidden="true" size={16} className="mt-0.5 shrink-0 text-ok" />
        )}
        <div className="min-w-0 flex-1">
          <Toast.Title className="text-sm font-medium" />
          <Toast.Description className="mt-0.5 text-sm break-words text-soft" />
        </div>
        <Toast.Close aria-label="Dismiss" className={cx(buttonClass("quiet", "small"), "size-6 px-0")}>
          <X size={14} />
        </Toast.Close>
      </Toast.Content>
    </Toast.Root>
  ));
}
