import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { CircleUser, LogOut, Monitor, Moon, ShieldCheck, Sun } from "lucide-react";
import { api, ok } from "@/api/client";
import { asApiError } from "@/api/error";
import { ACCOUNT_PAGES, ADMIN_PAGES } from "@/pages";
import { Menu, MenuItem, MenuLabel, MenuLink, MenuSeparator } from "@/ui/Menu";
import { toastError } from "@/ui/Toaster";
import { type Theme, useTheme } from "@/ui/theme";
import { useMe } from "./workspace";

export const THEMES: [Theme, string, typeof Sun][] = [
  ["system", "Theme of the system", Monitor],
  ["light", "Light theme", Sun],
  ["dark", "Dark theme", Moon],
];

/** Who is logged in, with what concerns the person. */
export function UserMenu() {
  const { user } = useMe();
  const [theme, setTheme] = useTheme();
  const logOut = useLogOut();
  const trigger = (
    <button
      type="button"
      className="flex h-10 w-full items-center gap-2 rounded-md px-2 text-left text-sm text-soft hover:bg-hover hover:text-text data-popup-open:bg-hover"
    >
      <CircleUser aria-hidden="true" size={18} className="shrink-0" />
      <span className="min-w-0 flex-1 truncate">{user.email}</span>
    </button>
  );
  return (
    <Menu label={`You: ${user.email}`} trigger={trigger} align="start" side="top">
      <MenuLabel>{user.email}</MenuLabel>
      {ACCOUNT_PAGES.length > 0 && (
        <MenuLink render={<Link to="/account" />}>
          <CircleUser aria-hidden="true" size={16} /> Account
        </MenuLink>
      )}
      {user.instance_admin && ADMIN_PAGES.length > 0 && (
        <MenuLink render={<Link to="/admin" />}>
          <ShieldCheck aria-hidden="true" size={16} /> Instance
        </MenuLink>
      )}
      <MenuSeparator />
      {THEMES.filter(([name]) => name !== theme).map(([name, label, Icon]) => (
        <MenuItem key={name} onClick={() => setTheme(name)}>
          <Icon aria-hidden="true" size={16} /> {label}
        </MenuItem>
      ))}
      <MenuSeparator />
      <MenuItem onClick={logOut}>
        <LogOut aria-hidden="true" size={16} /> Log out
      </MenuItem>
    </Menu>
  );
}

/** Ends the session, then forgets everything that was loaded. */
export function useLogOut(): () => Promise<void> {
  const queries = useQueryClient();
  const navigate = useNavigate();
  return async () => {
    try {
      await ok(api.DELETE("/api/v1/sessions/current"));
    } catch (error) {
      if (!asApiError(error).isLoggedOut) {
        toastError(error);
        return;
      }
    }
    await navigate({ to: "/login", replace: true });
    queries.clear();
  };
}
