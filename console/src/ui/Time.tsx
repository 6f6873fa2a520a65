import { useEffect, useState } from "react";
import { exactTime, fullTime, relativeTime } from "@/format/time";

/**
 * A moment as people say it, with the whole of it, in the viewer's zone, on hovering; in logs (`exact`) the other way
 * around, since rows are compared there.
 */
export function Time({ at, exact }: { at: string; exact?: boolean }) {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 30_000);
    return () => clearInterval(timer);
  }, []);
  const relative = relativeTime(at, Math.max(now, Date.now() - 30_000));
  return (
    <time dateTime={at} title={exact ? `${relative}: ${fullTime(at)}` : fullTime(at)} className="whitespace-nowrap">
      {exact ? exactTime(at, now) : relative}
    </time>
  );
}
