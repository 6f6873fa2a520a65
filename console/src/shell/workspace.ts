import { useSuspenseQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import type { Schemas } from "@/api/client";
import { meQuery } from "@/api/queries";
import type { Role } from "@/pages";

const RANK: Record<Role, number> = { member: 0, admin: 1, owner: 2 };

/** Whether `role` is at least `least`. */
export function isAtLeast(role: Role, least: Role): boolean {
  return RANK[role] >= RANK[least];
}

/** Who is logged in. */
export function useMe(): Schemas["Me"] {
  return useSuspenseQuery(meQuery).data;
}

/** A workspace that the caller's own account owns. */
export function ownWorkspace({ user, workspaces }: Schemas["Me"]): Schemas["OwnWorkspace"] | undefined {
  return workspaces.find(({ account_id }) => account_id === user.account_id);
}

/** The workspace of the address; `undefined` when the caller is no member of it, or not any more. */
export function useWorkspaceIfAny(): Schemas["OwnWorkspace"] | undefined {
  const { workspace: id } = useParams({ strict: false }) as { workspace?: string };
  return useMe().workspaces.find((workspace) => workspace.id === id);
}

/** The workspace of the address, with the caller's role. Only for pages below `/w/$workspace`. */
export function useWorkspace(): Schemas["OwnWorkspace"] {
  const workspace = useWorkspaceIfAny();
  if (!workspace) throw new Error("this page belongs to a workspace");
  return workspace;
}
