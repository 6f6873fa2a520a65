import { count, percent, plural } from "@/format/number";
import { Time } from "@/ui/Time";
import { failureText, type Key } from "./keys";

/** How a key fares: when it last served, what went wrong last, and how often the provider turned it away today. */
export function KeyHealth({ keyView: key }: { keyView: Key }) {
  const failed = key.last_failure;
  // A failure that a later use has left behind is history.
  const isPast = failed && key.last_used_at && key.last_used_at > failed.at;
  return (
    <p className="flex flex-wrap gap-x-3 text-xs text-soft">
      <span>
        {key.last_used_at ? (
          <>
            Last served <Time at={key.last_used_at} />
          </>
        ) : (
          <>
            Has not served yet, added <Time at={key.created_at} />
          </>
        )}
      </span>
      {key.health.calls > 0 && <Rates health={key.health} />}
      {failed && (
        <span className={isPast ? "" : "text-bad"}>
          Failed <Time at={failed.at} />: {failureText(failed.kind)}
        </span>
      )}
    </p>
  );
}

/** Of the tries in the last 24 hours, how many were turned away as unknown and as too many. */
function Rates({ health }: { health: Key["health"] }) {
  const rate = (times: number) => `${percent(times / health.calls)} (${count(times)})`;
  const told = [
    health.unauthorized > 0 && `401: ${rate(health.unauthorized)}`,
    health.rate_limited > 0 && `429: ${rate(health.rate_limited)}`,
  ].filter(Boolean);
  return (
    <span title={`${count(health.failed)} of them did not serve`}>
      {plural(health.calls, "call")} in 24 hours
      {told.length > 0 && <span className="text-warn"> · {told.join(" · ")}</span>}
    </span>
  );
}
