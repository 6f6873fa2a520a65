import { useEffect, useState } from "react";
import { fullTime, relativeTime } from "@/format/time";

/** A moment as people say it, with the whole of it, in the viewer's zone, on hovering. */
export function Time({ at }: { at: string }) {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 30_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <time dateTime={at} title={fullTime(at)} className="whitespace-nowrap">
      {relativeTime(at, Math.max(now, Date.now() - 30_000))}
    </time>
  );
}
