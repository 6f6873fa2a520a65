import { Time } from "@/ui/Time";
import { failureText, type Key } from "./keys";

/** How a key did: when it last served, and what went wrong last. */
export function KeyHealth({ keyView: key }: { keyView: Key }) {
  const failed = key.last_failure;
  // A failure that a later use has left behind is history.
  const isPast = failed && key.last_used_at && key.last_used_at > failed.at;
  return (
    <p className="flex flex-wrap gap-x-3 text-xs text-soft">
      <span>
        {key.last_used_at ? (
          <>
            Last used <Time at={key.last_used_at} />
          </>
        ) : (
          <>
            Not used yet, added <Time at={key.created_at} />
          </>
        )}
      </span>
      {failed && (
        <span className={isPast ? "" : "text-bad"}>
          Failed <Time at={failed.at} />: {failureText(failed.kind)}
        </span>
      )}
    </p>
  );
}
