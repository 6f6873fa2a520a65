import { type QueryClient, type QueryKey, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { instanceQuery, meQuery, providersQuery } from "./queries";
import { followStream } from "./stream";

/** What may have to be read again, by the topics that the server tells of (`stream_events` in openapi.json). */
function concerned(workspace: string, topic: string): QueryKey[] {
  const own = (...rest: string[]) => ["workspace", workspace, ...rest];
  /** What decides about calls, and what is said of it. */
  const decisions = [own("provider-keys"), own("policy"), own("models"), own("ai-config"), own("resolve")];
  switch (topic) {
    case "provider_keys":
    case "policy":
      return decisions;
    case "api_keys":
      return [own("api-keys")];
    case "members":
      return [own("members"), own("invitations"), meQuery.queryKey];
    case "runs":
      return [own("runs")];
    case "workspace":
      return [own("scripts"), own("services"), meQuery.queryKey];
    case "account":
      // Its credits and limits are below `me`.
      return [["account"], meQuery.queryKey, ...decisions];
    case "instance":
      return [instanceQuery.queryKey, providersQuery.queryKey, ["admin"], ...decisions];
    case "usage":
      // A call says how its key fares, too, and may have been charged.
      return [own("usage"), ["account", "usage"], own("provider-keys"), ["me", "balance"], ["me", "credits"]];
    default:
      // A topic of a later server: everything of the workspace.
      return [own()];
  }
}

/**
 * Keeps what is shown of a workspace up to date while it is looked at, and of its account and the instance, whose changes
 * its stream tells, too. What changed while the stream was away is not
 * told, so all that is shown is read again once it is back; where there is none, pages still ask every now and then.
 */
export function useLiveWorkspace(workspace: string | undefined): void {
  const queries = useQueryClient();
  useEffect(() => {
    if (!workspace) return;
    const later = collected(queries);
    const stop = followStream(`/api/v1/workspaces/${encodeURIComponent(workspace)}/events`, {
      on: {
        usage: () => later(concerned(workspace, "usage")),
        change: (data) => {
          // Whatever was changed stands in the log, too.
          for (const topic of topicsOf(data))
            later([...concerned(workspace, topic), ["workspace", workspace, "audit"]]);
        },
        // The session or the membership is over: the next answer says which, and leads where that leads.
        end: () => {
          stop();
          void queries.invalidateQueries();
        },
      },
      onOpen: (again) =>
        again &&
        later([["workspace", workspace], ...concerned(workspace, "account"), ...concerned(workspace, "instance")]),
    });
    return stop;
  }, [workspace, queries]);
}

const COLLECT_MS = 250;

/** Reads again once what several events in a row concern. */
function collected(queries: QueryClient): (keys: QueryKey[]) => void {
  const waiting = new Map<string, QueryKey>();
  return (keys) => {
    if (waiting.size === 0) {
      setTimeout(() => {
        for (const queryKey of waiting.values()) void queries.invalidateQueries({ queryKey });
        waiting.clear();
      }, COLLECT_MS);
    }
    for (const key of keys) waiting.set(JSON.stringify(key), key);
  };
}

function topicsOf(data: string): string[] {
  try {
    const { topics } = JSON.parse(data);
    return Array.isArray(topics) ? topics.map(String) : [];
  } catch {
    return [];
  }
}
