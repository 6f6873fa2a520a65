import type { Group, Only } from "./queries";

/** What the calls are told apart by. */
export interface Dimension {
  id: "model" | "provider_key" | "api_key" | "member";
  /** One of them, as a title. */
  name: string;
  groupBy: string;
  /** Its name, if it still has one. */
  label: (group: Group) => string | null | undefined;
  ident: (group: Group) => string | null | undefined;
  /** What calls without any are called. */
  none: string;
  /** How one whose name is gone is called. */
  gone: string;
  /** What cuts the page down to it. */
  only: (group: Group) => Only | undefined;
}

export const DIMENSIONS: Dimension[] = [
  {
    id: "model",
    name: "Model",
    groupBy: "provider,model",
    label: ({ provider, model }) => model && `${provider}/${model}`,
    ident: ({ provider, model }) => model && `${provider}/${model}`,
    none: "Not served",
    gone: "",
    only: ({ provider, model }) => (model && provider ? { provider, model } : undefined),
  },
  {
    id: "provider_key",
    name: "Own key",
    groupBy: "provider,provider_key",
    label: ({ key_label, provider }) => key_label && `${provider}: ${key_label}`,
    ident: ({ provider_key_id }) => provider_key_id,
    none: "No own key",
    gone: "Removed key",
    only: ({ provider_key_id }) => (provider_key_id ? { provider_key_id } : undefined),
  },
  {
    id: "api_key",
    name: "API key",
    groupBy: "api_key",
    label: ({ api_key_name }) => api_key_name,
    ident: ({ api_key_id }) => api_key_id,
    none: "None",
    gone: "Removed API key",
    only: ({ api_key_id }) => (api_key_id ? { api_key_id } : undefined),
  },
  {
    id: "member",
    name: "Member",
    groupBy: "member",
    label: ({ user_email }) => user_email,
    ident: ({ user_id }) => user_id,
    none: "Nobody",
    gone: "Somebody who left",
    only: ({ user_id }) => (user_id ? { user_id } : undefined),
  },
];

/** Its name inside a sentence. */
export function inText({ id, name }: Dimension): string {
  return id === "api_key" ? name : name.toLowerCase();
}

export function nameOf(dimension: Dimension, group: Group): string {
  const ident = dimension.ident(group);
  if (!ident) {
    if (dimension.id === "provider_key" && group.provider) return `${group.provider}: no own key`;
    if (dimension.id === "model" && group.provider) return `${group.provider}: no model`;
    return dimension.none;
  }
  return dimension.label(group) || `${dimension.gone} ${ident}`;
}

export function keyOf(dimension: Dimension, group: Group): string {
  return `${dimension.ident(group) ?? ""} ${group.provider ?? ""}`;
}
