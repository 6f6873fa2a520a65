import { infiniteQueryOptions } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import { PAGE_ITEMS } from "@/api/queries";

/** The people of the instance whose e-mail holds a text, part by part. */
export const usersQuery = (q: string) =>
  infiniteQueryOptions({
    queryKey: ["admin", "users", q],
    queryFn: ({ pageParam, signal }) => {
      const query = { ...(q ? { q } : {}), limit: PAGE_ITEMS, after: pageParam };
      return ok(api.GET("/api/v1/users", { params: { query }, signal }));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });
