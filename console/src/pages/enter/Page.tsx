import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Navigate } from "@tanstack/react-router";
import { api, ok } from "@/api/client";
import { meQuery } from "@/api/queries";
import { Frame } from "@/shell/Frame";
import { buttonClass } from "@/ui/Button";
import { ErrorNote } from "@/ui/ErrorNote";
import { Note } from "@/ui/Note";
import { Skeleton } from "@/ui/Skeleton";
import { takeToken } from "../token";

// The credential leaves the address bar and the history as soon as the page is there.
const token = takeToken();

/** Where the link of `keybearer console` leads: its token becomes a log-in, at once and once. */
export function Page() {
  const queries = useQueryClient();
  const entered = useQuery({
    queryKey: ["enter"],
    queryFn: async () => {
      await ok(api.POST("/api/v1/console-links/session", { body: { token: token ?? "" } }));
      // Whoever was logged in before is not any more.
      queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== "enter" });
      return true;
    },
    enabled: token !== undefined,
    // The token is used up by the first answer.
    retry: false,
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnReconnect: false,
  });
  const me = useQuery({ ...meQuery, enabled: !entered.isLoading && !entered.isSuccess });
  if (entered.isSuccess) return <Navigate to="/" replace />;
  if (entered.isLoading)
    return (
      <Frame title="Entering the console">
        <Skeleton className="h-10 w-full" />
      </Frame>
    );
  return (
    <Frame title="Enter the console" lead="On its own machine a local instance lets you in by a link.">
      <div className="flex flex-col items-start gap-4">
        {entered.isError && <ErrorNote error={entered.error} />}
        {!token && (
          <Note tone="warn">
            Run <code className="font-mono text-sm">keybearer console</code> in a terminal there. It makes a link, which
            is good once and for five minutes.
          </Note>
        )}
        {me.data && (
          <Link to="/" className={buttonClass("primary")}>
            Go on as {me.data.user.email}
          </Link>
        )}
      </div>
    </Frame>
  );
}
