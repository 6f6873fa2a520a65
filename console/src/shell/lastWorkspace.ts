const KEY = "keybearer-workspace";

/** Remembers the workspace that was looked at last, for the next visit of this browser. */
export function rememberWorkspace(id: string): void {
  try {
    localStorage.setItem(KEY, id);
  } catch {
    // A browser that keeps nothing opens the first workspace.
  }
}

/** The workspace to open: the last one, if it is still there, else the first. */
export function lastWorkspace<T extends { id: string }>(workspaces: T[]): T | undefined {
  let last: string | null = null;
  try {
    last = localStorage.getItem(KEY);
  } catch {
    // As above.
  }
  return workspaces.find(({ id }) => id === last) ?? workspaces[0];
}
