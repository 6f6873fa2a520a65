import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  notFound,
  Outlet,
  redirect,
} from "@tanstack/react-router";
import type { Schemas } from "./api/client";
import { ApiError } from "./api/error";
import { createQueryClient, meQuery } from "./api/queries";
import { ACCOUNT_PAGES, ADMIN_PAGES, type PageEntry, WORKSPACE_PAGES } from "./pages";
import { Broken, NotFound } from "./shell/Fallbacks";
import { lastWorkspace } from "./shell/lastWorkspace";

const BASE = "/console";

export const queryClient = createQueryClient(() => {
  const here = router.state.location;
  if (here.pathname === "/login") return;
  queryClient.clear();
  router.navigate({ to: "/login", search: { next: here.href }, replace: true });
});

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound, errorComponent: Broken });

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  component: lazyRouteComponent(() => import("./pages/login/Page"), "Page"),
});

const setup = createRoute({
  getParentRoute: () => root,
  path: "/setup",
  component: lazyRouteComponent(() => import("./pages/setup/Page"), "Page"),
});

const enter = createRoute({
  getParentRoute: () => root,
  path: "/enter",
  component: lazyRouteComponent(() => import("./pages/enter/Page"), "Page"),
});

const join = createRoute({
  getParentRoute: () => root,
  path: "/join",
  component: lazyRouteComponent(() => import("./pages/join/Page"), "Page"),
});

const password = createRoute({
  getParentRoute: () => root,
  path: "/password",
  component: lazyRouteComponent(() => import("./pages/password/Page"), "Page"),
});

/** Who is logged in; nobody is led to logging in, and back to `href`. */
async function meOrLogIn(asked: Promise<Schemas["Me"]>, href: string): Promise<Schemas["Me"]> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ApiError && error.isLoggedOut) {
      throw redirect({ to: "/login", search: href === "/" ? {} : { next: href } });
    }
    throw error;
  }
}

/** Everything that needs somebody who is logged in. */
const inside = createRoute({
  getParentRoute: () => root,
  id: "inside",
  beforeLoad: async ({ location }) => ({ me: await meOrLogIn(queryClient.ensureQueryData(meQuery), location.href) }),
});

const home = createRoute({
  getParentRoute: () => inside,
  path: "/",
  beforeLoad: ({ context }) => {
    const workspace = lastWorkspace(context.me.workspaces);
    if (workspace) throw redirect({ to: `/w/${workspace.id}` });
  },
  component: lazyRouteComponent(() => import("./pages/home/Page"), "Page"),
});

const device = createRoute({
  getParentRoute: () => inside,
  path: "/device",
  validateSearch: (search: Record<string, unknown>) => ({
    ...(typeof search.code === "string" ? { code: search.code } : {}),
  }),
  component: lazyRouteComponent(() => import("./pages/device/Page"), "Page"),
});

const workspace = createRoute({
  getParentRoute: () => inside,
  path: "/w/$workspace",
  beforeLoad: async ({ context, params, location }) => {
    const isIn = (me: Schemas["Me"]) => me.workspaces.some(({ id }) => id === params.workspace);
    if (isIn(context.me)) return;
    // One may have been let in since it was asked.
    const fresh = queryClient.fetchQuery({ ...meQuery, staleTime: 0 });
    if (!isIn(await meOrLogIn(fresh, location.href))) throw notFound();
  },
  component: lazyRouteComponent(() => import("./shell/Shell"), "WorkspaceShell"),
});

const account = createRoute({
  getParentRoute: () => inside,
  path: "/account",
  component: lazyRouteComponent(() => import("./shell/Shell"), "AccountShell"),
});

const admin = createRoute({
  getParentRoute: () => inside,
  path: "/admin",
  beforeLoad: ({ context }) => {
    if (!context.me.user.instance_admin) throw notFound();
  },
  component: lazyRouteComponent(() => import("./shell/Shell"), "AdminShell"),
});

/** The routes of a table of pages; the part's own path leads to where it opens. */
function children(parent: typeof workspace | typeof account | typeof admin, pages: PageEntry[]) {
  const first = createRoute({
    getParentRoute: () => parent,
    path: "/",
    beforeLoad: ({ location }) => {
      const page = pages.find(({ opens }) => opens) ?? pages[0];
      if (!page) throw notFound();
      throw redirect({ to: `${location.pathname.replace(/\/$/, "")}/${page.path}`, replace: true });
    },
  });
  const rest = pages.map((page) =>
    createRoute({
      getParentRoute: () => parent,
      path: `/${page.path}`,
      component: lazyRouteComponent(page.load, "Page"),
    }),
  );
  return [first, ...rest];
}

const tree = root.addChildren([
  login,
  setup,
  enter,
  join,
  password,
  inside.addChildren([
    home,
    device,
    workspace.addChildren(children(workspace, WORKSPACE_PAGES)),
    account.addChildren(children(account, ACCOUNT_PAGES)),
    admin.addChildren(children(admin, ADMIN_PAGES)),
  ]),
]);

export const router = createRouter({
  routeTree: tree,
  basepath: BASE,
  defaultPreload: "intent",
  scrollRestoration: true,
  defaultNotFoundComponent: NotFound,
  defaultErrorComponent: Broken,
});
