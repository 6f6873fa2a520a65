import { Check, Copy as CopyIcon } from "lucide-react";
import { useEffect, useState } from "react";
import { Button } from "./Button";
import { cx } from "./cx";
import { toast } from "./Toaster";

/** Copies a text and says so. */
export function CopyButton({ text, label = "Copy", name }: { text: string; label?: string; name?: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 2000);
    return () => clearTimeout(timer);
  }, [copied]);
  // Browsers offer the clipboard on secure origins only.
  if (!navigator.clipboard) return null;
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
    } catch {
      toast("Your browser does not let this page copy", "Select the text and copy it yourself.");
    }
  };
  return (
    <Button size="small" onClick={copy} aria-label={name ? `${label} ${name}` : undefined}>
      {copied ? <Check aria-hidden="true" size={14} className="text-ok" /> : <CopyIcon aria-hidden="true" size={14} />}
      <span aria-live="polite">{copied ? "Copied" : label}</span>
    </Button>
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
