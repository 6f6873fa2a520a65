import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Clapperboard, Plus } from "lucide-react";
import { useNewDialog } from "@/shell/newDialog";
import { useMe, useWorkspace } from "@/shell/workspace";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorState } from "@/ui/ErrorNote";
import { PageBody } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { Cell, Pager, Table } from "@/ui/Table";
import { Time } from "@/ui/Time";
import { NewRunDialog } from "./NewRunDialog";
import { outputsOf, type Run, runsQuery, titleOf, visibilityLabel } from "./runs";
import { StatusBadge } from "./StatusBadge";

/** The generation runs that one may read, and the way to a new one. */
export function Page() {
  const workspace = useWorkspace();
  const me = useMe();
  const runs = useInfiniteQuery(runsQuery(workspace.id));
  const [making, setMaking] = useNewDialog();
  const create = (
    <Button look="primary" onClick={() => setMaking(true)}>
      <Plus aria-hidden="true" size={16} /> New run
    </Button>
  );
  const shown = runs.data?.pages.flatMap(({ data }) => data) ?? [];
  return (
    <PageBody
      title="Studio"
      lead="A run makes a document of a prompt: a script, pictures, or both. It is worked on in the background, all of it or nothing."
      actions={shown.length > 0 && create}
    >
      {runs.isPending ? (
        <SkeletonRows label="Loading the runs" />
      ) : runs.isLoadingError ? (
        <ErrorState error={runs.error} retry={() => runs.refetch()} />
      ) : shown.length === 0 ? (
        <EmptyState icon={Clapperboard} title="No runs yet" action={create}>
          Here are your runs, and those that others of the workspace share.
        </EmptyState>
      ) : (
        <>
          <Table label="Runs" head={["Prompt", "Status", "Makes", "Who may read it", "Made"]}>
            {shown.map((run) => (
              <tr key={run.id}>
                <Cell className="min-w-52">
                  <Link
                    to={`/w/${workspace.id}/studio/${run.id}`}
                    className="font-medium wrap-anywhere text-accent-text hover:underline"
                  >
                    {titleOf(run.prompt)}
                  </Link>{" "}
                  {run.user_id !== me.user.id && <Badge title="Somebody else of the workspace made it">Shared</Badge>}
                  <WrittenBy run={run} />
                </Cell>
                <Cell>
                  <StatusBadge status={run.status} />
                </Cell>
                <Cell className="whitespace-nowrap">{outputsOf(run)}</Cell>
                <Cell>{visibilityLabel(run.visibility)}</Cell>
                <Cell>
                  <Time at={run.created_at} />
                </Cell>
              </tr>
            ))}
          </Table>
          <Pager more={runs.hasNextPage} busy={runs.isFetchingNextPage} onMore={() => runs.fetchNextPage()} />
        </>
      )}
      {making && <NewRunDialog onClose={() => setMaking(false)} />}
    </PageBody>
  );
}

/** The model and the payer that the script was pinned to. */
function WrittenBy({ run: { model } }: { run: Run }) {
  if (!model) return null;
  return (
    <span className="mt-0.5 block text-xs wrap-anywhere text-soft">
      {model.provider}/{model.model}, {model.key_source === "byok" ? "own key" : "credits"}
    </span>
  );
}
