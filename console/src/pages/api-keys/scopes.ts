import type { Schemas } from "@/api/client";

export type Scope = Schemas["NewApiKey"]["scopes"][number];

/** What each scope lets a program do. Those of the instance are given by its admins only. */
export const SCOPES: { scope: Scope; says: string; instance?: true }[] = [
  { scope: "inference:invoke", says: "call models" },
  { scope: "workspace:read", says: "read the workspace" },
  { scope: "workspace:write", says: "change the workspace" },
  { scope: "members:read", says: "read members and invitations" },
  { scope: "members:write", says: "change members and invitations" },
  { scope: "keys:read", says: "list API keys" },
  { scope: "keys:write", says: "mint and revoke API keys" },
  { scope: "byok:read", says: "list provider keys" },
  { scope: "byok:write", says: "add, change and remove provider keys" },
  { scope: "policy:read", says: "read who pays and which models stand behind names" },
  { scope: "policy:write", says: "change that" },
  { scope: "billing:read", says: "read credits, the ledger and limits" },
  { scope: "usage:read", says: "read usage" },
  { scope: "audit:read", says: "read the audit log" },
  { scope: "instance:read", says: "read settings, plans and accounts of the instance", instance: true },
  { scope: "instance:write", says: "change settings, plans and accounts of the instance", instance: true },
];

/** A key's scopes in few words. */
export function scopesText(scopes: Scope[]): string {
  if (scopes.length === 1 && scopes[0] === "inference:invoke") return "Call models";
  const ordinary = SCOPES.filter(({ instance }) => !instance);
  if (ordinary.every(({ scope }) => scopes.includes(scope))) return "All scopes";
  return scopes.length === 1 ? String(scopes[0]) : `${scopes.length} scopes`;
}
