import { queryOptions } from "@tanstack/react-query";
import { createContext, useContext } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { LIVE_MS, providerKeysQuery } from "@/api/queries";
import type { Sealed } from "@/sealing";
import { useWorkspaceIfAny } from "@/shell/workspace";

type Key = Schemas["ProviderKeyView"];
type Stored = Schemas["StoredKeyView"];
type New = Omit<Schemas["NewProviderKey"], "key" | "kek_id" | "ciphertext_b64">;

/** Whose keys a page is about: for whom they are sealed, and where they go. */
export interface KeyScope {
  kind: Key["scope"];
  /** For whom a key is sealed; for a platform key the installation, whose id is asked for when it is needed. */
  owner: string | undefined;
  /** What changes with the keys. */
  listKey: readonly unknown[];
  create: (what: New, sealed: Sealed) => Promise<Stored>;
  rotate: (id: string, sealed: Sealed) => Promise<Stored>;
  patch: (id: string, body: Schemas["KeyPatch"]) => Promise<Key>;
  /** Puts all keys for a provider into order, in one change. */
  order: (body: Schemas["KeyOrder"]) => Promise<unknown>;
  /** Answers with what calls meet then, where that is one thing. */
  remove: (id: string) => Promise<Schemas["RemovedKeyView"]["then"] | undefined>;
}

function workspaceScope(id: string): KeyScope {
  const path = { workspace_id: id };
  return {
    kind: "workspace",
    owner: id,
    listKey: providerKeysQuery(id).queryKey,
    create: (what, sealed) =>
      ok(
        api.POST("/api/v1/workspaces/{workspace_id}/provider-keys", { params: { path }, body: { ...what, ...sealed } }),
      ),
    rotate: (key_id, body) =>
      ok(
        api.PUT("/api/v1/workspaces/{workspace_id}/provider-keys/{key_id}", {
          params: { path: { ...path, key_id } },
          body,
        }),
      ),
    patch: (key_id, body) =>
      ok(
        api.PATCH("/api/v1/workspaces/{workspace_id}/provider-keys/{key_id}", {
          params: { path: { ...path, key_id } },
          body,
        }),
      ),
    order: (body) => ok(api.PUT("/api/v1/workspaces/{workspace_id}/provider-keys/order", { params: { path }, body })),
    remove: async (key_id) => {
      const params = { path: { ...path, key_id } };
      return (await ok(api.DELETE("/api/v1/workspaces/{workspace_id}/provider-keys/{key_id}", { params }))).then;
    },
  };
}

/** The keys of an account, which serve all of its workspaces after their own. */
export const accountKeysQuery = (account: string) =>
  queryOptions({
    queryKey: ["account", account, "provider-keys"],
    queryFn: async ({ signal }) => {
      const params = { path: { account_id: account } };
      return (await ok(api.GET("/api/v1/accounts/{account_id}/provider-keys", { params, signal }))).data;
    },
    refetchInterval: LIVE_MS,
  });

export function accountScope(id: string): KeyScope {
  const path = { account_id: id };
  return {
    kind: "account",
    owner: id,
    listKey: accountKeysQuery(id).queryKey,
    create: (what, sealed) =>
      ok(api.POST("/api/v1/accounts/{account_id}/provider-keys", { params: { path }, body: { ...what, ...sealed } })),
    rotate: (key_id, body) =>
      ok(
        api.PUT("/api/v1/accounts/{account_id}/provider-keys/{key_id}", {
          params: { path: { ...path, key_id } },
          body,
        }),
      ),
    patch: (key_id, body) =>
      ok(
        api.PATCH("/api/v1/accounts/{account_id}/provider-keys/{key_id}", {
          params: { path: { ...path, key_id } },
          body,
        }),
      ),
    order: (body) => ok(api.PUT("/api/v1/accounts/{account_id}/provider-keys/order", { params: { path }, body })),
    remove: async (key_id) => {
      const params = { path: { ...path, key_id } };
      await ok(api.DELETE("/api/v1/accounts/{account_id}/provider-keys/{key_id}", { params }));
      return undefined;
    },
  };
}

/** The keys of the instance, which serve managed calls of everybody. */
export const platformKeysQuery = queryOptions({
  queryKey: ["admin", "platform-keys"],
  queryFn: async ({ signal }) => (await ok(api.GET("/api/v1/admin/platform-keys", { signal }))).data,
  refetchInterval: LIVE_MS,
});

export const PLATFORM_SCOPE: KeyScope = {
  kind: "instance",
  owner: undefined,
  listKey: platformKeysQuery.queryKey,
  create: (what, sealed) => ok(api.POST("/api/v1/admin/platform-keys", { body: { ...what, ...sealed } })),
  rotate: (key_id, body) => ok(api.PUT("/api/v1/admin/platform-keys/{key_id}", { params: { path: { key_id } }, body })),
  patch: (key_id, body) =>
    ok(api.PATCH("/api/v1/admin/platform-keys/{key_id}", { params: { path: { key_id } }, body })),
  order: (body) => ok(api.PUT("/api/v1/admin/platform-keys/order", { body })),
  remove: async (key_id) => {
    await ok(api.DELETE("/api/v1/admin/platform-keys/{key_id}", { params: { path: { key_id } } }));
    return undefined;
  },
};

const Context = createContext<KeyScope | undefined>(undefined);

/** Says whose keys the components inside are about; without it, those of the workspace of the address. */
export const KeyScopeProvider = Context.Provider;

export function useKeyScope(): KeyScope {
  const given = useContext(Context);
  const workspace = useWorkspaceIfAny();
  if (given) return given;
  if (!workspace) throw new Error("keys belong to somebody");
  return workspaceScope(workspace.id);
}
