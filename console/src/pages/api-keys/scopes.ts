import type { Schemas } from "@/api/client";

export type Scope = Schemas["NewApiKey"]["scopes"][number];

/** What each scope lets a program do; a new one of the API does not compile until it has its line here. */
const SAYS: Record<Scope, string> = {
  "inference:invoke": "call models",
  "workspace:read": "read the workspace",
  "workspace:write": "change the workspace",
  "members:read": "read members and invitations",
  "members:write": "change members and invitations",
  "keys:read": "list API keys",
  "keys:write": "mint and revoke API keys",
  "byok:read": "list provider keys",
  "byok:write": "add, change and remove provider keys",
  "keys:release": "have provider keys handed out, where the workspace allows that",
  "services:read": "read scripts and services",
  "services:write": "write them: code that runs on every machine that starts the workspace",
  "runs:read": "read generation runs and what they made",
  "runs:write": "start, cancel, share and delete generation runs",
  "policy:read": "read who pays and which models stand behind names",
  "policy:write": "change that",
  "billing:read": "read credits, the ledger and limits",
  "usage:read": "read usage",
  "audit:read": "read the audit log",
  "instance:read": "read settings, plans and accounts of the instance",
  "instance:write": "change settings, plans and accounts of the instance",
};

/** All scopes in their order. Those of the instance are given by its admins only. */
export const SCOPES = Object.entries(SAYS).map(([scope, says]) => ({
  scope: scope as Scope,
  says,
  instance: scope.startsWith("instance:"),
}));

/** A key's scopes in few words. */
export function scopesText(scopes: Scope[]): string {
  if (scopes.length === 1 && scopes[0] === "inference:invoke") return "Call models";
  const ordinary = SCOPES.filter(({ instance, scope }) => !instance && scope !== "keys:release");
  if (ordinary.every(({ scope }) => scopes.includes(scope))) return "All scopes";
  return scopes.length === 1 ? String(scopes[0]) : `${scopes.length} scopes`;
}
