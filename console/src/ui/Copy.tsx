import { Check, Copy as CopyIcon } from "lucide-react";
import { useEffect, useState } from "react";
import { Button } from "./Button";
import { cx } from "./cx";
import { toast } from "./Toaster";

/** Copies a text, and whether that was just done. Browsers offer the clipboard on secure origins only: then nothing. */
function useCopy(text: string): { copied: boolean; copy: (() => Promise<void>) | undefined } {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 2000);
    return () => clearTimeout(timer);
  }, [copied]);
  if (!navigator.clipboard) return { copied, copy: undefined };
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
    } catch {
      toast("Your browser does not let this page copy", "Select the text and copy it yourself.");
    }
  };
  return { copied, copy };
}

/** Copies a text and says so. */
export function CopyButton({ text, label = "Copy", name }: { text: string; label?: string; name?: string }) {
  const { copied, copy } = useCopy(text);
  if (!copy) return null;
  return (
    <Button size="small" onClick={copy} aria-label={name ? `${label} ${name}` : undefined}>
      {copied ? <Check aria-hidden="true" size={14} className="text-ok" /> : <CopyIcon aria-hidden="true" size={14} />}
      <span aria-live="polite">{copied ? "Copied" : label}</span>
    </Button>
  );
}

/** An id by its kind and its end, where there is no room for all of it; a click copies the whole. */
export function ShortId({ id, what }: { id: string; what: string }) {
  const { copied, copy } = useCopy(id);
  if (!copy) return <code className="font-mono text-xs text-soft">{id}</code>;
  return (
    <button
      type="button"
      onClick={copy}
      title={`${id}: copy`}
      className="font-mono text-xs whitespace-nowrap text-soft underline-offset-2 hover:underline"
    >
      <span aria-live="polite">{copied ? "Copied" : `${id.slice(0, id.indexOf("_") + 1)}…${id.slice(-5)}`}</span>
      <span className="sr-only">, copy the id of the {what}</span>
    </button>
  );
}

/** A text to copy whole, in the letters of code. `wrap` is for one long line that should be seen whole. */
export function CodeBlock({ text, name, wrap }: { text: string; name?: string; wrap?: boolean }) {
  return (
    <div className="overflow-hidden rounded-md border border-line bg-sunken">
      <div className="flex items-center justify-between gap-2 border-b border-line py-1.5 pr-1.5 pl-3">
        <span className="text-xs text-soft">{name}</span>
        <CopyButton text={text} name={name} />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <section tabIndex={0} aria-label={name} className="overflow-x-auto px-3 py-2.5">
        <pre className={cx("font-mono text-xs leading-5", wrap && "break-all whitespace-pre-wrap")}>{text}</pre>
      </section>
    </div>
  );
}
