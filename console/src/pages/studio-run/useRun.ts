import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { hasEnded, type Run, runQuery } from "../studio/runs";

/** A run that follows its stream while it is worked on; without one it is asked for. */
export function useRun(workspace: string, id: string) {
  const queries = useQueryClient();
  const [live, setLive] = useState(false);
  const run = useQuery(runQuery(workspace, id, live));
  const follow = run.data !== undefined && !hasEnded(run.data.status);
  useEffect(() => {
    if (!follow) return;
    const stream = new EventSource(`/api/v1/workspaces/${workspace}/runs/${id}/events`);
    stream.addEventListener("open", () => setLive(true));
    // It comes back by itself, or was refused; until it has, the run is asked for.
    stream.addEventListener("error", () => setLive(false));
    stream.addEventListener("run", ({ data }) => {
      const told: Run = JSON.parse(data);
      queries.setQueryData(runQuery(workspace, id).queryKey, (known?: Run) =>
        known && known.version > told.version ? known : told,
      );
      if (hasEnded(told.status)) stream.close();
    });
    return () => {
      stream.close();
      setLive(false);
    };
  }, [follow, workspace, id, queries]);
  return { run, live };
}
