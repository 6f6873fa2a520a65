import { Link, useNavigate } from "@tanstack/react-router";
import { Check, ChevronsUpDown, Plus } from "lucide-react";
import { useState } from "react";
import type { Schemas } from "@/api/client";
import { Menu, MenuItem, MenuLabel, MenuLink, MenuSeparator } from "@/ui/Menu";
import { NewWorkspaceDialog } from "./NewWorkspaceDialog";
import { useMe } from "./workspace";

/** Shows the workspace and leads to the others. */
export function WorkspaceSwitcher({ current }: { current?: Schemas["OwnWorkspace"] }) {
  const { workspaces } = useMe();
  const navigate = useNavigate();
  const [creating, setCreating] = useState(false);
  const name = current?.name ?? "Workspaces";
  const trigger = (
    <button
      type="button"
      className="flex h-10 w-full items-center gap-2 rounded-md px-2 text-left hover:bg-hover data-popup-open:bg-hover"
    >
      <Initial name={name} />
      <span className="min-w-0 flex-1 truncate text-sm font-medium">{name}</span>
      <ChevronsUpDown aria-hidden="true" size={14} className="text-soft" />
    </button>
  );
  return (
    <>
      <Menu label={`Workspace: ${name}`} trigger={trigger} align="start">
        <MenuLabel>Workspaces</MenuLabel>
        {workspaces.map((workspace) => (
          <MenuLink key={workspace.id} render={<Link to={`/w/${workspace.id}`} />}>
            <Initial name={workspace.name} />
            <span className="max-w-44 min-w-0 flex-1 truncate">{workspace.name}</span>
            {workspace.id === current?.id && <Check aria-label="current" size={14} className="text-accent-text" />}
          </MenuLink>
        ))}
        <MenuSeparator />
        <MenuItem onClick={() => setCreating(true)}>
          <Plus aria-hidden="true" size={16} /> New workspace
        </MenuItem>
      </Menu>
      <NewWorkspaceDialog
        open={creating}
        onClose={() => setCreating(false)}
        onCreated={(id) => navigate({ to: `/w/${id}/start` })}
      />
    </>
  );
}

function Initial({ name }: { name: string }) {
  return (
    <span
      aria-hidden="true"
      className="flex size-6 shrink-0 items-center justify-center rounded bg-accent-soft text-xs font-semibold text-accent-text"
    >
      {name.trim().charAt(0).toUpperCase()}
    </span>
  );
}
