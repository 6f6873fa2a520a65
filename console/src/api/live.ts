import { type QueryClient, type QueryKey, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { instanceQuery, meQuery, providersQuery } from "./queries";

/** What may have to be read again, by the topics that the server tells of (`stream_events` in openapi.json). */
function concerned(workspace: string, topic: string): QueryKey[] {
  const own = (...rest: string[]) => ["workspace", workspace, ...rest];
  switch (topic) {
    case "provider_keys":
      return [own("provider-keys"), own("models"), own("ai-config")];
    case "api_keys":
      return [own("api-keys")];
    case "policy":
      return [own("policy"), own("models"), own("ai-config")];
    case "members":
      return [own("members"), own("invitations"), meQuery.queryKey];
    case "workspace":
      return [meQuery.queryKey];
    case "account":
      return [["account"], own("policy"), own("models")];
    case "instance":
      return [instanceQuery.queryKey, providersQuery.queryKey, ["admin"], own("models"), own("policy")];
    case "usage":
      // A call says how its key fares, too.
      return [own("usage"), own("provider-keys")];
    default:
      // A topic of a later server: everything of the workspace.
      return [own()];
  }
}

/**
 * Keeps what is shown of a workspace up to date while it is looked at. The browser comes back by itself when the stream
 * breaks; where there is none, pages still ask every now and then.
 */
export function useLiveWorkspace(workspace: string | undefined): void {
  const queries = useQueryClient();
  useEffect(() => {
    if (!workspace) return;
    const events = new EventSource(`/api/v1/workspaces/${encodeURIComponent(workspace)}/events`);
    const later = collected(queries);
    events.addEventListener("usage", () => later(concerned(workspace, "usage")));
    events.addEventListener("change", ({ data }: MessageEvent<string>) => {
      for (const topic of topicsOf(data)) later(concerned(workspace, topic));
    });
    // The session or the membership is over: the next answer says which, and leads where that leads.
    events.addEventListener("end", () => {
      events.close();
      void queries.invalidateQueries();
    });
    return () => events.close();
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
