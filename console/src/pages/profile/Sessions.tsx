import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, ok, type Schemas } from "@/api/client";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { ErrorState } from "@/ui/ErrorNote";
import { Card, Section } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { Time } from "@/ui/Time";
import { toast, toastError } from "@/ui/Toaster";
import { browserName } from "./browser";
import { sessionsQuery } from "./queries";

type Session = Schemas["SessionView"];

/** Where one is logged in, each with its end. */
export function Sessions() {
  const queries = useQueryClient();
  const sessions = useQuery(sessionsQuery);
  const end = useMutation({
    mutationFn: ({ id }: Session) =>
      ok(api.DELETE("/api/v1/sessions/{session_id}", { params: { path: { session_id: id } } })),
    onSuccess: () => toast("The session has ended"),
    onError: toastError,
    onSettled: () => queries.invalidateQueries(sessionsQuery),
  });
  return (
    <Section
      title="Sessions"
      lead="The browsers in which you are logged in. End one that you do not know, and change your password."
    >
      {sessions.isPending ? (
        <SkeletonRows rows={2} label="Loading the sessions" />
      ) : sessions.isLoadingError ? (
        <ErrorState error={sessions.error} retry={() => sessions.refetch()} />
      ) : (
        <Card>
          <ul className="divide-y divide-line">
            {sessions.data.map((session) => (
              <li key={session.id} className="flex items-center justify-between gap-4 px-4 py-3">
                <div className="min-w-0">
                  <p className="flex flex-wrap items-center gap-x-2 gap-y-1">
                    <span className="font-medium" title={session.user_agent}>
                      {browserName(session.user_agent)}
                    </span>
                    {session.current && <Badge tone="accent">This one</Badge>}
                  </p>
                  <p className="text-xs text-soft">
                    Last used <Time at={session.last_seen_at} />, began <Time at={session.created_at} />, ends{" "}
                    <Time at={session.expires_at} />
                  </p>
                </div>
                {!session.current && (
                  <Button
                    size="small"
                    look="danger"
                    aria-label={`End the session in ${browserName(session.user_agent)}`}
                    disabled={end.isPending}
                    onClick={() => end.mutate(session)}
                  >
                    End
                  </Button>
                )}
              </li>
            ))}
          </ul>
        </Card>
      )}
    </Section>
  );
}
