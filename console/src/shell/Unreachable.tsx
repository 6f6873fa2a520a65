import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { api, ok } from "@/api/client";
import { useReachable } from "@/api/reachable";

const AGAIN_MS = 3_000;

/** Pages go on showing what they loaded while the server is away; this says that it may be old, and asks again. */
export function Unreachable() {
  const reachable = useReachable();
  const queries = useQueryClient();
  useEffect(() => {
    if (reachable) return;
    const ask = async () => {
      try {
        await ok(api.GET("/health"));
        await queries.invalidateQueries();
      } catch {
        // Still away.
      }
    };
    const timer = setInterval(ask, AGAIN_MS);
    return () => clearInterval(timer);
  }, [reachable, queries]);
  if (reachable) return null;
  return (
    <p role="status" className="sticky top-12 z-10 bg-warn-soft px-4 py-2 text-center text-sm lg:top-0">
      The server does not answer. You see what was loaded last; the page goes on trying.
    </p>
  );
}
