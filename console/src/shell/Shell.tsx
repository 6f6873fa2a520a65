import { Dialog } from "@base-ui/react/dialog";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { ArrowLeft, Menu as MenuIcon, Search } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { useLiveWorkspace } from "@/api/live";
import { ACCOUNT_PAGES, ADMIN_PAGES, WORKSPACE_PAGES } from "@/pages";
import { IconButton } from "@/ui/Button";
import { UnsavedGuard } from "@/ui/Unsaved";
import { CommandPalette } from "./CommandPalette";
import { NotFound } from "./Fallbacks";
import { Logo } from "./Logo";
import { lastWorkspace, rememberWorkspace } from "./lastWorkspace";
import { NavGroup } from "./NavGroup";
import { Unreachable } from "./Unreachable";
import { UserMenu } from "./UserMenu";
import { WorkspaceSwitcher } from "./WorkspaceSwitcher";
import { isAtLeast, ownWorkspace, useMe, useWorkspaceIfAny } from "./workspace";

/** The pages of one workspace. */
export function WorkspaceShell() {
  const workspace = useWorkspaceIfAny();
  const id = workspace?.id;
  useEffect(() => {
    if (id) rememberWorkspace(id);
  }, [id]);
  useLiveWorkspace(id);
  // Whoever left or deleted it is on the way to another page.
  const leaving = useRouterState({ select: ({ status }) => status === "pending" });
  if (!workspace) return leaving ? null : <NotFound />;
  const pages = WORKSPACE_PAGES.filter(({ role = "member" }) => isAtLeast(workspace.role, role));
  return (
    <Shell place={workspace.id} switcher={<WorkspaceSwitcher current={workspace} />}>
      <NavGroup label="Workspace" base={`/w/${workspace.id}`} pages={pages} />
    </Shell>
  );
}

/** The pages about oneself. What happens to the account is told by the stream of one of its workspaces. */
export function AccountShell() {
  useLiveWorkspace(ownWorkspace(useMe())?.id);
  return (
    <Shell switcher={<WorkspaceSwitcher />}>
      <Back />
      <NavGroup label="Account" base="/account" pages={ACCOUNT_PAGES} />
    </Shell>
  );
}

/** The pages of the instance, for its admins. What happens to it is told by the stream of any workspace. */
export function AdminShell() {
  useLiveWorkspace(lastWorkspace(useMe().workspaces)?.id);
  return (
    <Shell switcher={<WorkspaceSwitcher />}>
      <Back />
      <NavGroup label="Instance" base="/admin" pages={ADMIN_PAGES} />
    </Shell>
  );
}

/** From the pages beside the workspaces to the one that was left for them. */
function Back() {
  const workspace = lastWorkspace(useMe().workspaces);
  if (!workspace) return null;
  return (
    <Link
      to={`/w/${workspace.id}`}
      className="-mb-2 flex h-8 shrink-0 items-center gap-2 rounded-md px-2 text-sm text-soft no-underline hover:bg-hover hover:text-text"
    >
      <ArrowLeft aria-hidden="true" size={16} className="shrink-0" />
      <span className="truncate">Back to {workspace.name}</span>
    </Link>
  );
}

/**
 * `place`: what the pages are about. Those of another place begin anew: nothing that was typed or shown once for one
 * workspace, such as an API key, is there after a switch to another.
 */
function Shell({ place, switcher, children }: { place?: string; switcher: ReactNode; children: ReactNode }) {
  const [navOpen, setNavOpen] = useState(false);
  const [paletteOpen, setPaletteOpen] = useState(false);
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() === "k" && (event.metaKey || event.ctrlKey) && !event.altKey) {
        event.preventDefault();
        setPaletteOpen((open) => !open);
      }
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, []);
  const search = () => {
    setNavOpen(false);
    setPaletteOpen(true);
  };
  const sidebar = (
    <>
      {switcher}
      <SearchButton onClick={search} />
      {/* A click on any link closes the drawer of narrow windows. */}
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: links inside send clicks for the keyboard too */}
      {/* biome-ignore lint/a11y/noStaticElementInteractions: it only hears what its links do */}
      <div className="flex flex-1 flex-col gap-4 overflow-y-auto" onClick={() => setNavOpen(false)}>
        {children}
      </div>
      <UserMenu />
    </>
  );
  return (
    <div className="flex min-h-dvh flex-col lg:flex-row">
      <a
        href="#content"
        className="sr-only focus:not-sr-only focus:fixed focus:top-2 focus:left-2 focus:z-50 focus:rounded-md focus:bg-accent focus:px-3 focus:py-2 focus:text-on-accent"
      >
        Skip to the content
      </a>
      <header className="sticky top-0 z-20 flex h-12 items-center justify-between border-b border-line bg-surface px-3 lg:hidden">
        <Dialog.Root open={navOpen} onOpenChange={setNavOpen}>
          <Dialog.Trigger render={<IconButton label="Open the navigation" />}>
            <MenuIcon size={18} />
          </Dialog.Trigger>
          <Dialog.Portal>
            <Dialog.Backdrop className="fixed inset-0 z-40 bg-veil" />
            <Dialog.Popup className="fixed inset-y-0 left-0 z-50 flex w-72 max-w-[85vw] flex-col gap-3 border-r border-line bg-surface p-3 outline-none">
              <Dialog.Title className="sr-only">Navigation</Dialog.Title>
              {sidebar}
            </Dialog.Popup>
          </Dialog.Portal>
        </Dialog.Root>
        <Logo />
        <IconButton label="Search" onClick={search}>
          <Search size={18} />
        </IconButton>
      </header>
      <aside className="sticky top-0 hidden h-dvh w-60 shrink-0 flex-col gap-3 border-r border-line bg-sunken p-3 lg:flex">
        {sidebar}
      </aside>
      <main id="content" tabIndex={-1} className="min-w-0 flex-1 outline-none">
        <Unreachable />
        <Outlet key={place} />
      </main>
      <CommandPalette open={paletteOpen} onOpenChange={setPaletteOpen} />
      <UnsavedGuard />
    </div>
  );
}

const COMMAND_KEY = /Mac|iPhone|iPad/.test(navigator.userAgent) ? "⌘K" : "Ctrl K";

function SearchButton({ onClick }: { onClick: () => void }) {
  return (
    <button
      type="button"
      onClick={onClick}
      className="flex h-8 items-center gap-2 rounded-md border border-line bg-surface px-2 text-left text-sm text-soft hover:bg-hover"
    >
      <Search aria-hidden="true" size={14} />
      <span className="flex-1">Go to…</span>
      <kbd className="hidden font-sans text-xs lg:inline">{COMMAND_KEY}</kbd>
    </button>
  );
}
