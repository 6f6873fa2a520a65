import {
  hashKey,
  type InfiniteData,
  infiniteQueryOptions,
  MutationCache,
  QueryCache,
  QueryClient,
  queryOptions,
  type UseInfiniteQueryResult,
} from "@tanstack/react-query";
import { useEffect, useMemo } from "react";
import { api, ok, type Schemas } from "./client";
import { ApiError } from "./error";

/** How often a page that somebody looks at asks anew for what others may change. */
export const LIVE_MS = 15_000;

/** Entries of one part of a list. */
export const PAGE_ITEMS = 50;

/**
 * The cache of answers. `loggedOut` is called when an answer says that the session is over, except to a query whose
 * `meta.mayBeAnonymous` says that it asks just that.
 */
export function createQueryClient(loggedOut: () => void): QueryClient {
  const check = (error: unknown) => {
    if (error instanceof ApiError && error.isLoggedOut) loggedOut();
  };
  let person: string | undefined;
  /** Somebody else logged in, in another tab: what was loaded for the person before is not theirs. */
  const see = (data: unknown, query: { queryHash: string }) => {
    if (query.queryHash !== ME_HASH) return;
    const { id } = (data as Schemas["Me"]).user;
    if (person !== undefined && person !== id) {
      void client.resetQueries({ predicate: ({ queryHash }) => queryHash !== ME_HASH });
    }
    person = id;
  };
  const client = new QueryClient({
    queryCache: new QueryCache({
      onError: (error, { meta }) => !meta?.mayBeAnonymous && check(error),
      onSuccess: see,
    }),
    mutationCache: new MutationCache({ onError: check }),
    defaultOptions: {
      queries: {
        staleTime: 5_000,
        retry: (count, error) => count < 2 && error instanceof ApiError && (error.status === 0 || error.status === 503),
        networkMode: NETWORK_MODE,
      },
      mutations: { networkMode: NETWORK_MODE },
    },
  });
  return client;
}

/** The server may be this machine or a neighbour: whether the browser thinks that there is an internet says nothing. */
const NETWORK_MODE = "always";

/** Who is logged in, with the workspaces. */
export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: ({ signal }) => ok(api.GET("/api/v1/me", { signal })),
  meta: { mayBeAnonymous: true },
  staleTime: 60_000,
});

const ME_HASH = hashKey(meQuery.queryKey);

/** What is needed to seal a key for this installation. */
export const instanceQuery = queryOptions({
  queryKey: ["instance"],
  queryFn: ({ signal }) => ok(api.GET("/api/v1/instance", { signal })),
  staleTime: 60_000,
});

/** The providers that are switched on. Browsers may keep the answer for a minute, in which a switch would seem undone. */
export const providersQuery = queryOptions({
  queryKey: ["providers"],
  queryFn: async ({ signal }) => (await ok(api.GET("/v1/providers", { signal, cache: "no-cache" }))).data,
  staleTime: 60_000,
});

/** The workspace's provider keys; members get one entry for each provider. */
export const providerKeysQuery = (workspace: string) =>
  queryOptions({
    queryKey: ["workspace", workspace, "provider-keys"],
    queryFn: async ({ signal }) => {
      const params = { path: { workspace_id: workspace } };
      return (await ok(api.GET("/api/v1/workspaces/{workspace_id}/provider-keys", { params, signal }))).data;
    },
    refetchInterval: LIVE_MS,
  });

/** The workspace's policy: who pays, which models. */
export const policyQuery = (workspace: string) =>
  queryOptions({
    queryKey: ["workspace", workspace, "policy"],
    queryFn: ({ signal }) =>
      ok(
        api.GET("/api/v1/workspaces/{workspace_id}/policy", { params: { path: { workspace_id: workspace } }, signal }),
      ),
  });

/** Most parts of a list that are read for names alone. */
const NAMED_PARTS = 20;

/**
 * All of a list that comes in parts, for pages that look names up in it or offer all of it: the parts that are missing are
 * read one after the other, twenty at most.
 */
export function useWhole<T>(list: UseInfiniteQueryResult<InfiniteData<{ data: T[] }>>): T[] | undefined {
  const { data, hasNextPage, isFetching, isError, fetchNextPage } = list;
  const more = hasNextPage && !isFetching && !isError && (data?.pages.length ?? 0) < NAMED_PARTS;
  useEffect(() => {
    if (more) void fetchNextPage();
  }, [more, fetchNextPage]);
  return useMemo(() => data?.pages.flatMap((page) => page.data), [data]);
}

/** The people of the workspace. */
export const membersQuery = (workspace: string) =>
  infiniteQueryOptions({
    queryKey: ["workspace", workspace, "members"],
    queryFn: ({ pageParam, signal }) => {
      const params = { path: { workspace_id: workspace }, query: { limit: PAGE_ITEMS, after: pageParam } };
      return ok(api.GET("/api/v1/workspaces/{workspace_id}/members", { params, signal }));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });
