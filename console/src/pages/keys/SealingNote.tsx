import { useQuery } from "@tanstack/react-query";
import { Lock } from "lucide-react";
import { ErrorNote } from "@/ui/ErrorNote";
import { Skeleton } from "@/ui/Skeleton";
import { publicKeyQuery } from "./publicKey";
import { useKeyScope } from "./scope";

/** To what the key is sealed: the fingerprint, computed in this browser. `keybearer keys trust` shows the same. */
export function SealingNote() {
  const scope = useKeyScope();
  const key = useQuery(publicKeyQuery);
  if (key.isError) return <ErrorNote error={key.error} title="The sealing key cannot be used" />;
  return (
    <div className="flex gap-2.5 rounded-md bg-sunken px-3 py-2.5 text-xs text-soft">
      <Lock aria-hidden="true" size={14} className="mt-0.5 shrink-0 text-ok" />
      <div className="min-w-0">
        <p>
          Sealed in this browser, for this {scope.kind} and provider alone, to the server's key with the fingerprint (
          <code>kek_id</code>)
        </p>
        {key.data ? (
          <code data-testid="kek-id" className="font-mono break-all text-text">
            {key.data.kekId}
          </code>
        ) : (
          <Skeleton className="mt-1 h-4 w-56" />
        )}
      </div>
    </div>
  );
}
