import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { followStream } from "@/api/stream";
import { hasEnded, type Run, runQuery } from "../studio/runs";

/** Whether a run is followed: by its stream, or by asking while the stream is away. */
export type Following = "stream" | "asking" | undefined;

/** A run that follows its stream while it is worked on; without one it is asked for. */
export function useRun(workspace: string, id: string) {
  const queries = useQueryClient();
  const [following, setFollowing] = useState<Following>();
  const run = useQuery(runQuery(workspace, id, following === "stream"));
  const follow = run.data !== undefined && !hasEnded(run.data.status);
  useEffect(() => {
    if (!follow) return;
    const stop = followStream(`/api/v1/workspaces/${workspace}/runs/${id}/events`, {
      on: {
        run: (data) => {
          const told = readRun(data);
          if (told) queries.setQueryData(runQuery(workspace, id).queryKey, told);
        },
      },
      onOpen: () => setFollowing("stream"),
      onLost: () => setFollowing("asking"),
    });
    return () => {
      stop();
      setFollowing(undefined);
    };
  }, [follow, workspace, id, queries]);
  return { run, following };
}

function readRun(data: string): Run | undefined {
  try {
    return JSON.parse(data) as Run;
  } catch {
    return undefined;
  }
}
