import { infiniteQueryOptions } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import { PAGE_ITEMS } from "@/api/queries";

/** The workspace's invitations, part by part. */
export const invitationsQuery = (workspace: string) =>
  infiniteQueryOptions({
    queryKey: ["workspace", workspace, "invitations"],
    queryFn: ({ pageParam, signal }) => {
      const params = { path: { workspace_id: workspace }, query: { limit: PAGE_ITEMS, after: pageParam } };
      return ok(api.GET("/api/v1/workspaces/{workspace_id}/invitations", { params, signal }));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });
