/**
 * The pages that exist. A page is a folder here with a component `Page`, and its line in one of these tables; routes,
 * sidebar, command palette and the browser tests follow the tables.
 */
import type { LucideIcon } from "lucide-react";
import {
  Blocks,
  Boxes,
  ChartNoAxesColumn,
  CircleUser,
  Clapperboard,
  HeartPulse,
  KeyRound,
  Layers,
  LockKeyhole,
  MessagesSquare,
  Rocket,
  Route,
  ScrollText,
  ServerCog,
  Settings,
  SlidersHorizontal,
  SquareTerminal,
  Users,
  UsersRound,
  Wallet,
  WalletCards,
  Waypoints,
} from "lucide-react";
import type { ComponentType } from "react";

export type Role = "member" | "admin" | "owner";

export interface PageEntry {
  /** Below the part's path: `keys` is `/console/w/<workspace>/keys`. May have parameters: `usage/$request`. */
  path: string;
  title: string;
  /** Without an icon it is not in the sidebar: a page that others lead to. */
  icon?: LucideIcon;
  /** The least role that can do anything with it. */
  role?: Role;
  /** More words by which the command palette finds it. */
  words?: string;
  /** The part of the console opens here; else at its first page. */
  opens?: true;
  load: () => Promise<{ Page: ComponentType }>;
}

/** Below `/console/w/<workspace>/`. */
export const WORKSPACE_PAGES: PageEntry[] = [
  {
    path: "start",
    title: "Get started",
    icon: Rocket,
    words: "first guide curl snippet example",
    load: () => import("./start/Page"),
  },
  {
    path: "keys",
    title: "Keys",
    icon: KeyRound,
    words: "provider own byok secret seal",
    opens: true,
    load: () => import("./keys/Page"),
  },
  {
    path: "ai-config",
    title: "AI config",
    icon: WalletCards,
    words: "mode who pays credits byok managed auto guardrail consent cap",
    load: () => import("./ai-config/Page"),
  },
  {
    path: "models",
    title: "Models",
    icon: Boxes,
    words: "tier level default embeddings mapping price my models",
    load: () => import("./models/Page"),
  },
  {
    path: "playground",
    title: "Playground",
    icon: MessagesSquare,
    words: "chat try stream call model prompt",
    load: () => import("./playground/Page"),
  },
  {
    path: "studio",
    title: "Studio",
    icon: Clapperboard,
    words: "generation run script picture document",
    load: () => import("./studio/Page"),
  },
  { path: "studio/$run", title: "Run", load: () => import("./studio-run/Page") },
  {
    path: "api-keys",
    title: "API keys",
    icon: SquareTerminal,
    words: "token mint revoke scopes kb_",
    load: () => import("./api-keys/Page"),
  },
  {
    path: "services",
    title: "Services",
    icon: ServerCog,
    words: "scripts machines workspace up systemd compose programs run setup",
    load: () => import("./services/Page"),
  },
  {
    path: "usage",
    title: "Usage",
    icon: ChartNoAxesColumn,
    words: "calls requests cost tokens charts csv export",
    load: () => import("./usage/Page"),
  },
  {
    path: "explain",
    title: "Explain",
    icon: Route,
    words: "resolve why which key serves who pays decision",
    load: () => import("./explain/Page"),
  },
  {
    path: "members",
    title: "Members",
    icon: Users,
    words: "people invite invitation role",
    load: () => import("./members/Page"),
  },
  {
    path: "audit",
    title: "Audit",
    icon: ScrollText,
    role: "admin",
    words: "log history who changed",
    load: () => import("./audit/Page"),
  },
  {
    path: "settings",
    title: "Settings",
    icon: Settings,
    words: "rename delete leave danger id",
    load: () => import("./settings/Page"),
  },
];

/** Below `/console/account/`. */
export const ACCOUNT_PAGES: PageEntry[] = [
  {
    path: "profile",
    title: "Profile",
    icon: CircleUser,
    words: "password sessions delete me",
    load: () => import("./profile/Page"),
  },
  {
    path: "credits",
    title: "Credits",
    icon: Wallet,
    words: "balance ledger transactions charges money spent",
    load: () => import("./credits/Page"),
  },
  {
    path: "usage",
    title: "Usage",
    icon: ChartNoAxesColumn,
    words: "calls cost tokens charts all workspaces sum",
    load: () => import("./account-usage/Page"),
  },
  {
    path: "plan",
    title: "Plan",
    icon: Layers,
    words: "limits subscription terms used quota tiers",
    load: () => import("./plan/Page"),
  },
  {
    path: "defaults",
    title: "Defaults",
    icon: SlidersHorizontal,
    words: "new workspaces mode model start",
    load: () => import("./defaults/Page"),
  },
  {
    path: "keys",
    title: "Personal keys",
    icon: KeyRound,
    words: "provider own byok account secret seal",
    load: () => import("./personal-keys/Page"),
  },
  {
    path: "audit",
    title: "Audit",
    icon: ScrollText,
    words: "log history who changed account",
    load: () => import("./account-audit/Page"),
  },
];

/** Below `/console/admin/`, for admins of the instance. */
export const ADMIN_PAGES: PageEntry[] = [
  {
    path: "users",
    title: "Users",
    icon: UsersRound,
    words: "people suspend lock create",
    load: () => import("./users/Page"),
  },
  {
    path: "accounts",
    title: "Accounts",
    icon: Wallet,
    words: "plan subscription credits grant rate",
    load: () => import("./accounts/Page"),
  },
  { path: "accounts/$account", title: "Account", load: () => import("./account-detail/Page") },
  {
    path: "plans",
    title: "Plans",
    icon: Layers,
    words: "terms limits tiers monthly",
    load: () => import("./plans/Page"),
  },
  {
    path: "platform-keys",
    title: "Platform keys",
    icon: KeyRound,
    words: "provider managed secret seal",
    load: () => import("./platform-keys/Page"),
  },
  {
    path: "providers",
    title: "Providers",
    icon: Waypoints,
    words: "switch byok off on models prices urls",
    load: () => import("./providers/Page"),
  },
  { path: "providers/$provider", title: "Provider", load: () => import("./provider-detail/Page") },
  {
    path: "usage",
    title: "Usage",
    icon: ChartNoAxesColumn,
    words: "calls cost tokens charts accounts instance",
    load: () => import("./instance-usage/Page"),
  },
  {
    path: "profiles",
    title: "Profiles",
    icon: Blocks,
    words: "bundle preset rigbox aikeedo bitrouter xai oxagen default apply",
    load: () => import("./profiles/Page"),
  },
  { path: "profiles/$profile", title: "Profile", load: () => import("./profile-detail/Page") },
  {
    path: "sealing-key",
    title: "Sealing key",
    icon: LockKeyhole,
    words: "kek fingerprint rotate seal age",
    load: () => import("./sealing-key/Page"),
  },
  {
    path: "settings",
    title: "Settings",
    icon: Settings,
    words: "modes masks tiers ratios factor retention metering everybody",
    load: () => import("./instance-settings/Page"),
  },
  {
    path: "health",
    title: "Health",
    icon: HeartPulse,
    words: "status database spool version uptime keys failing",
    load: () => import("./health/Page"),
  },
  {
    path: "audit",
    title: "Audit",
    icon: ScrollText,
    words: "log history who changed instance",
    load: () => import("./instance-audit/Page"),
  },
];
