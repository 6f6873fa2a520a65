import { infiniteQueryOptions } from "@tanstack/react-query";
import { api, ok, type Schemas } from "@/api/client";
import { LIVE_MS } from "@/api/queries";

export type Row = Schemas["AuditView"];

/** Whose log it is. */
export type Source = { kind: "workspace"; id: string } | { kind: "account"; id: string } | { kind: "instance" };

/** What the server looks for, in the whole log. */
export interface Only {
  /** An action, or a sort of thing whose actions are all meant. */
  action?: string;
  actor?: string;
  /** From this moment on. */
  from?: string;
  /** Before this moment. */
  to?: string;
}

interface Part extends Only {
  limit: number;
  after: string | undefined;
}

/** Begins as what else is read of the same thing, so that a change of it is seen in its log, too. */
const keyOf = (source: Source) =>
  source.kind === "instance" ? (["admin", "audit"] as const) : ([source.kind, source.id, "audit"] as const);

function read(source: Source, query: Part, signal: AbortSignal) {
  switch (source.kind) {
    case "workspace": {
      const params = { path: { workspace_id: source.id }, query };
      return ok(api.GET("/api/v1/workspaces/{workspace_id}/audit", { params, signal }));
    }
    case "account": {
      const params = { path: { account_id: source.id }, query };
      return ok(api.GET("/api/v1/accounts/{account_id}/audit", { params, signal }));
    }
    case "instance":
      return ok(api.GET("/api/v1/audit", { params: { query }, signal }));
  }
}

/** An audit log, newest first, part by part; new entries appear as long as the first part alone is shown. */
export const auditQuery = (source: Source, only: Only = {}) =>
  infiniteQueryOptions({
    queryKey: [...keyOf(source), only],
    queryFn: ({ pageParam, signal }) => read(source, { ...only, limit: 100, after: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) > 1 ? false : LIVE_MS),
  });
