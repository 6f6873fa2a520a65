import { ExternalLink } from "lucide-react";
import type { Provider } from "./keys";

/** What keys of a provider look like, and its own page of keys. */
export function KeyHint({ provider }: { provider: Provider }) {
  return (
    <p className="flex flex-wrap items-center gap-x-3 text-xs text-soft">
      {provider.key.pattern && (
        <span>
          Looks like <code className="font-mono text-text">{provider.key.pattern}</code>
        </span>
      )}
      <a
        href={provider.key.url}
        target="_blank"
        rel="noreferrer"
        className="inline-flex items-center gap-1 text-accent-text underline-offset-2 hover:underline"
      >
        Get a key <span className="sr-only">of {provider.name} (opens in a new tab)</span>
        <ExternalLink aria-hidden="true" size={12} />
      </a>
    </p>
  );
}
