import { Dialog } from "@base-ui/react/dialog";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import {
  Boxes,
  Clapperboard,
  KeyRound,
  LogOut,
  type LucideIcon,
  MessagesSquare,
  Route,
  Search,
  SquareTerminal,
  UserPlus,
} from "lucide-react";
import { type KeyboardEvent, useEffect, useId, useMemo, useState } from "react";
import { ACCOUNT_PAGES, ADMIN_PAGES, type PageEntry, WORKSPACE_PAGES } from "@/pages";
import { modelsQuery } from "@/pages/models/models";
import { cx } from "@/ui/cx";
import { useTheme } from "@/ui/theme";
import { NEW } from "./newDialog";
import { THEMES, useLogOut } from "./UserMenu";
import { isAtLeast, useMe, useWorkspaceIfAny } from "./workspace";

interface Command {
  id: string;
  title: string;
  group: string;
  icon: LucideIcon;
  words: string;
  run: () => void;
}

/** Every page, what can be made or done, and models, found by typing. Opens with Ctrl-K or Command-K. */
export function CommandPalette({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  return (
    <Dialog.Root open={open} onOpenChange={onOpenChange}>
      <Dialog.Portal>
        <Dialog.Backdrop className="fixed inset-0 z-40 bg-veil" />
        <Dialog.Popup className="fixed top-[12vh] left-1/2 z-50 flex max-h-[70vh] w-[calc(100vw-2rem)] max-w-lg -translate-x-1/2 flex-col overflow-hidden rounded-lg border border-line bg-surface shadow-float outline-none">
          <Dialog.Title className="sr-only">Go to</Dialog.Title>
          <Palette close={() => onOpenChange(false)} />
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Palette({ close }: { close: () => void }) {
  const commands = useCommands();
  const models = useModels();
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const list = useId();
  const found = useMemo(() => search(commands, models, text), [commands, models, text]);
  const chosenId = found[chosen] && `${list}-${found[chosen].id}`;
  useEffect(() => {
    if (chosenId) document.getElementById(chosenId)?.scrollIntoView({ block: "nearest" });
  }, [chosenId]);
  const run = (command: Command | undefined) => {
    if (!command) return;
    close();
    command.run();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && found.length > 0) {
      event.preventDefault();
      setChosen((chosen + step + found.length) % found.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(found[chosen]);
    }
  };
  return (
    <>
      <div className="flex items-center gap-2.5 border-b border-line px-4">
        <Search aria-hidden="true" size={16} className="text-soft" />
        <input
          // biome-ignore lint/a11y/noAutofocus: the dialog was opened to type
          autoFocus
          role="combobox"
          aria-label="Go to a page or do something"
          aria-expanded="true"
          aria-controls={list}
          aria-activedescendant={chosenId}
          value={text}
          placeholder="Where to?"
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => {
            setText(event.target.value);
            setChosen(0);
          }}
          onKeyDown={onKeyDown}
          className="h-12 min-w-0 flex-1 bg-transparent text-base outline-none sm:text-sm"
        />
      </div>
      <div id={list} role="listbox" aria-label="Results" className="overflow-y-auto p-1.5">
        {found.map((command, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keyboard stays in the field above
          <div
            key={command.id}
            id={`${list}-${command.id}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === chosen}
            onClick={() => run(command)}
            // The list that scrolls under a pointer at rest moves it, too, as browsers see it.
            onPointerMove={({ movementX, movementY }) => (movementX !== 0 || movementY !== 0) && setChosen(index)}
            className={cx("flex h-9 items-center gap-2.5 rounded-md px-2.5", index === chosen && "bg-hover")}
          >
            <command.icon aria-hidden="true" size={16} className="text-soft" />
            <span className="min-w-0 flex-1 truncate">{command.title}</span>
            <span className="text-xs text-soft">{command.group}</span>
          </div>
        ))}
      </div>
      {found.length === 0 && <p className="px-4 pb-6 text-center text-soft">Nothing is called like that.</p>}
    </>
  );
}

/** What is called so, then what else it is found by; then models, of which there are hundreds, by something of their names. */
function search(commands: Command[], models: Command[], text: string): Command[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (all: string) => words.every((word) => all.toLowerCase().includes(word));
  const named = models.filter(
    ({ title, group }) => has(`${title} ${group}`) && words.some((word) => title.toLowerCase().includes(word)),
  );
  const others = commands.filter(({ title, group, words: more }) => has(`${title} ${group} ${more}`));
  const called = ({ title }: Command) => has(title);
  return [...others.filter(called), ...others.filter((it) => !called(it)), ...named].slice(0, 50);
}

/** The models that the workspace may call, to try in the playground, and all to have explained. */
function useModels(): Command[] {
  const navigate = useNavigate();
  const workspace = useWorkspaceIfAny();
  const models = useQuery({ ...modelsQuery(workspace?.id ?? ""), enabled: workspace !== undefined }).data?.models;
  return useMemo(() => {
    if (!workspace || !models) return [];
    const to = (page: string, title: string, icon: LucideIcon, path: string, search: object): Command => {
      const run = () => void navigate({ to: `/w/${workspace.id}/${path}`, search: search as never });
      return { id: `${path}-${title}`, title, group: page, icon, words: "", run };
    };
    return models.flatMap(({ id, key_source }) => [
      ...(key_source ? [to("Playground", id, MessagesSquare, "playground", { model: id })] : []),
      to("Explain", id, Route, "explain", { model: id, asked: "yes" }),
    ]);
  }, [workspace, models, navigate]);
}

function useCommands(): Command[] {
  const me = useMe();
  const navigate = useNavigate();
  const logOut = useLogOut();
  const [theme, setTheme] = useTheme();
  const workspace = useWorkspaceIfAny();
  const base = workspace && `/w/${workspace.id}`;
  const go = (to: string) => () => void navigate({ to });
  const pages = (group: string, base: string, entries: PageEntry[]): Command[] =>
    entries.flatMap(({ path, title, icon, words = "" }) =>
      icon ? [{ id: `${base}/${path}`, title, group, icon, words, run: go(`${base}/${path}`) }] : [],
    );
  const allowed = WORKSPACE_PAGES.filter(({ role = "member" }) => workspace && isAtLeast(workspace.role, role));
  const make = (title: string, icon: LucideIcon, to: string, words: string): Command => ({
    id: `new-${to}`,
    title,
    group: "Action",
    icon,
    words,
    run: () => void navigate({ to, search: NEW as never }),
  });
  const isAdmin = workspace !== undefined && isAtLeast(workspace.role, "admin");
  return [
    ...(workspace && base ? pages(workspace.name, base, allowed) : []),
    ...(isAdmin ? [make("Add a provider key", KeyRound, `${base}/keys`, "new own byok paste seal")] : []),
    ...(base
      ? [
          make("New API key", SquareTerminal, `${base}/api-keys`, "mint token create"),
          make("New run", Clapperboard, `${base}/studio`, "studio generate script picture create"),
        ]
      : []),
    ...(isAdmin ? [make("Invite somebody", UserPlus, `${base}/members`, "member person invitation new")] : []),
    ...pages("Account", "/account", ACCOUNT_PAGES),
    ...(me.user.instance_admin ? pages("Instance", "/admin", ADMIN_PAGES) : []),
    make("Add a personal key", KeyRound, "/account/keys", "new own byok account paste seal provider"),
    ...(me.user.instance_admin
      ? [make("Add a platform key", KeyRound, "/admin/platform-keys", "new instance managed paste seal provider")]
      : []),
    ...me.workspaces
      .filter((other) => other.id !== workspace?.id)
      .map((other) => ({
        id: other.id,
        title: other.name,
        group: "Workspace",
        icon: Boxes,
        words: "switch",
        run: go(`/w/${other.id}`),
      })),
    ...THEMES.filter(([name]) => name !== theme).map(([name, title, icon]) => ({
      id: `theme-${name}`,
      title,
      group: "Action",
      icon,
      words: "",
      run: () => setTheme(name),
    })),
    { id: "log-out", title: "Log out", group: "Action", icon: LogOut, words: "sign", run: () => void logOut() },
  ];
}
