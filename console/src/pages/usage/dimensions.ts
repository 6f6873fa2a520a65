import type { Group, Only } from "./queries";

/** What the calls are told apart by. */
export interface Dimension {
  id: "account" | "workspace" | "provider" | "model" | "provider_key" | "api_key" | "member";
  /** One of them, as a title. */
  name: string;
  groupBy: string;
  /** Its name, if it still has one. */
  label: (group: Group) => string | null | undefined;
  ident: (group: Group) => string | null | undefined;
  /** What calls without any are called. */
  none: (group: Group) => string;
  /** How one whose name is gone is called. */
  gone: string;
  /** What cuts the page down to it. */
  only: (group: Group) => Only;
  /** Which one the page is cut down to, as `ident` says it; empty: all. */
  chosen: (only: Only) => string;
  /** What is cut no longer when another one, or all, is chosen. */
  clears: (keyof Only)[];
}

/** How an own key is called whose label is not the viewer's to see. */
export function unnamedKey(scope: string | null | undefined): string {
  return scope === "account" ? "personal key of the owner" : "key of the workspace";
}

const modelOf = ({ provider, model }: Pick<Group, "provider" | "model">) => model && `${provider}/${model}`;

export const MODEL: Dimension = {
  id: "model",
  name: "Model",
  groupBy: "provider,model",
  label: modelOf,
  ident: modelOf,
  none: ({ provider }) => (provider ? `${provider}: no model` : "Not served"),
  gone: "",
  only: ({ provider, model }) => ({ provider: provider ?? undefined, model: model ?? undefined }),
  chosen: (only) => modelOf(only) || "",
  clears: ["provider", "model"],
};

export const OWN_KEY: Dimension = {
  id: "provider_key",
  name: "Own key",
  groupBy: "provider,provider_key",
  label: ({ key_label, key_scope, provider }) =>
    (key_label || key_scope) && `${provider}: ${key_label ?? unnamedKey(key_scope)}`,
  ident: ({ provider_key_id }) => provider_key_id,
  none: ({ provider }) => (provider ? `${provider}: no own key` : "No own key"),
  gone: "Removed key",
  only: ({ provider_key_id }) => ({ provider_key_id: provider_key_id ?? undefined }),
  chosen: ({ provider_key_id }) => provider_key_id ?? "",
  clears: ["provider_key_id"],
};

export const API_KEY: Dimension = {
  id: "api_key",
  name: "API key",
  groupBy: "api_key",
  label: ({ api_key_name }) => api_key_name,
  ident: ({ api_key_id }) => api_key_id,
  none: () => "None",
  gone: "Removed API key",
  only: ({ api_key_id }) => ({ api_key_id: api_key_id ?? undefined }),
  chosen: ({ api_key_id }) => api_key_id ?? "",
  clears: ["api_key_id"],
};

export const MEMBER: Dimension = {
  id: "member",
  name: "Member",
  groupBy: "member",
  label: ({ user_email }) => user_email,
  ident: ({ user_id }) => user_id,
  none: () => "Nobody",
  gone: "Somebody who left",
  only: ({ user_id }) => ({ user_id: user_id ?? undefined }),
  chosen: ({ user_id }) => user_id ?? "",
  clears: ["user_id"],
};

export const PROVIDER: Dimension = {
  id: "provider",
  name: "Provider",
  groupBy: "provider",
  label: ({ provider }) => provider,
  ident: ({ provider }) => provider,
  none: () => "Not served",
  gone: "",
  only: ({ provider }) => ({ provider: provider ?? undefined }),
  chosen: ({ provider }) => provider ?? "",
  clears: ["provider", "model"],
};

/** Own keys are their owners' business: the instance is told of its own. */
export const PLATFORM_KEY: Dimension = {
  ...OWN_KEY,
  name: "Platform key",
  label: ({ key_label, provider }) => key_label && `${provider}: ${key_label}`,
  none: ({ provider }) => (provider ? `${provider}: no platform key` : "No platform key"),
};

export const ACCOUNT: Dimension = {
  id: "account",
  name: "Account",
  groupBy: "account",
  label: ({ account_name }) => account_name,
  ident: ({ account_id }) => account_id,
  none: () => "None",
  gone: "Removed account",
  only: ({ account_id }) => ({ account_id: account_id ?? undefined }),
  chosen: ({ account_id }) => account_id ?? "",
  clears: ["account_id", "workspace_id"],
};

/** With the account: many workspaces are called alike. */
export const WORKSPACE: Dimension = {
  id: "workspace",
  name: "Workspace",
  groupBy: "workspace,account",
  label: ({ workspace_name, account_name }) =>
    workspace_name && [workspace_name, account_name].filter(Boolean).join(" · "),
  ident: ({ workspace_id }) => workspace_id,
  none: () => "None",
  gone: "Removed workspace",
  only: ({ workspace_id }) => ({ workspace_id: workspace_id ?? undefined }),
  chosen: ({ workspace_id }) => workspace_id ?? "",
  clears: ["workspace_id"],
};

/** Where all of them are of one account. */
export const OWN_WORKSPACE: Dimension = { ...WORKSPACE, groupBy: "workspace" };

/** Its name inside a sentence. */
export function inText({ id, name }: Dimension): string {
  return id === "api_key" ? name : name.toLowerCase();
}

export function nameOf(dimension: Dimension, group: Group): string {
  const ident = dimension.ident(group);
  if (!ident) return dimension.none(group);
  return dimension.label(group) || `${dimension.gone} ${ident}`;
}

export function keyOf(dimension: Dimension, group: Group): string {
  return `${dimension.ident(group) ?? ""} ${group.provider ?? ""}`;
}
