import type { Option } from "@/ui/Select";

export type GivenRole = "member" | "admin";

/** The roles that can be given; the owner stays who it is. */
export const ROLES: Option<GivenRole>[] = [
  { value: "member", label: "Member", detail: "Calls models and sees what the workspace has" },
  { value: "admin", label: "Admin", detail: "Manages members, keys and who pays, too" },
];
