import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { ArrowLeft, Clapperboard } from "lucide-react";
import { useState } from "react";
import { api, ok } from "@/api/client";
import { asApiError } from "@/api/error";
import { isAtLeast, useMe, useWorkspace } from "@/shell/workspace";
import { Button, buttonClass } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { CopyButton } from "@/ui/Copy";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorState } from "@/ui/ErrorNote";
import { Card, PageBody, Section } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { toast, toastError } from "@/ui/Toaster";
import { NewRunDialog } from "../studio/NewRunDialog";
import { hasEnded, type Run, runQuery, runsQuery, titleOf } from "../studio/runs";
import { Document } from "./Document";
import { RunFacts } from "./RunFacts";
import { ShareDialog } from "./ShareDialog";
import { Steps } from "./Steps";
import { useRun } from "./useRun";

/** A generation run: how far it is, what it made, and what can be done with it. */
export function Page() {
  const { run: id } = useParams({ strict: false }) as { run: string };
  return <RunPage key={id} id={id} />;
}

function RunPage({ id }: { id: string }) {
  const workspace = useWorkspace();
  const { run, following } = useRun(workspace.id, id);
  const gone = run.isError && asApiError(run.error).status === 404;
  return (
    <PageBody
      title={run.data ? titleOf(run.data.prompt) : "Run"}
      lead={
        <Link
          to={`/w/${workspace.id}/studio`}
          className="inline-flex items-center gap-1 text-accent-text underline-offset-2 hover:underline"
        >
          <ArrowLeft aria-hidden="true" size={14} /> All runs
        </Link>
      }
      actions={run.data && !gone && <Actions run={run.data} />}
    >
      {gone ? (
        <EmptyState
          icon={Clapperboard}
          title="There is no such run"
          action={
            <Link to={`/w/${workspace.id}/studio`} className={buttonClass()}>
              See all runs
            </Link>
          }
        >
          It was deleted, its time was over, or it is not shared with you.
        </EmptyState>
      ) : run.isPending ? (
        <SkeletonRows label="Loading the run" />
      ) : run.isLoadingError || !run.data ? (
        <ErrorState error={run.error} retry={() => run.refetch()} />
      ) : (
        <>
          <RunFacts run={run.data} following={following} />
          {run.data.status === "succeeded" && <Document run={run.data.id} />}
          <Steps run={run.data} />
          <Prompt text={run.data.prompt} />
        </>
      )}
    </PageBody>
  );
}

function Prompt({ text }: { text: string }) {
  return (
    <Section title="Prompt" actions={<CopyButton text={text} name="prompt" />}>
      <Card>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
        <div tabIndex={0} className="max-h-64 overflow-y-auto px-4 py-3">
          <p className="max-w-prose leading-6 wrap-anywhere whitespace-pre-wrap">{text}</p>
        </div>
      </Card>
    </Section>
  );
}

/** What one may do with the run as it is: its maker all of it, admins stop and delete it. */
function Actions({ run }: { run: Run }) {
  const workspace = useWorkspace();
  const me = useMe();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [asks, setAsks] = useState<"cancel" | "delete" | "share" | "anew">();
  const mine = run.user_id === me.user.id;
  const mayEnd = mine || isAtLeast(workspace.role, "admin");
  const params = { path: { workspace_id: workspace.id, run_id: run.id } };
  const take = (next: Run) => {
    queries.setQueryData(runQuery(workspace.id, run.id).queryKey, next);
    queries.invalidateQueries(runsQuery(workspace.id));
  };
  const retry = useMutation({
    mutationFn: () => ok(api.POST("/api/v1/workspaces/{workspace_id}/runs/{run_id}/retry", { params })),
    onSuccess: take,
    onError: (error) => {
      toastError(error);
      queries.invalidateQueries(runQuery(workspace.id, run.id));
    },
  });
  const cancel = async () => {
    take(await ok(api.POST("/api/v1/workspaces/{workspace_id}/runs/{run_id}/cancel", { params })));
  };
  const remove = async () => {
    await ok(api.DELETE("/api/v1/workspaces/{workspace_id}/runs/{run_id}", { params }));
    await navigate({ to: `/w/${workspace.id}/studio` });
    queries.removeQueries(runQuery(workspace.id, run.id));
    await queries.invalidateQueries({ queryKey: ["workspace", workspace.id, "runs"] });
    toast("The run is deleted");
  };
  const close = () => setAsks(undefined);
  return (
    <>
      {mine && (run.status === "failed" || run.status === "cancelled") && (
        <Button look="primary" busy={retry.isPending} onClick={() => retry.mutate()}>
          Try again
        </Button>
      )}
      {mine && <Button onClick={() => setAsks("share")}>Share</Button>}
      {hasEnded(run.status) && <Button onClick={() => setAsks("anew")}>New run like this</Button>}
      {mayEnd && !hasEnded(run.status) && <Button onClick={() => setAsks("cancel")}>Cancel run</Button>}
      {mayEnd && (
        <Button look="danger" onClick={() => setAsks("delete")}>
          Delete
        </Button>
      )}
      {asks === "share" && <ShareDialog run={run} onClose={close} />}
      {asks === "anew" && <NewRunDialog like={run} onClose={close} />}
      <ConfirmDialog
        open={asks === "cancel"}
        onClose={close}
        title="Cancel this run?"
        action="Cancel run"
        dismiss="Let it run"
        danger
        onConfirm={cancel}
      >
        <p>
          A call that runs is given up within two seconds; what its provider did of it may still be charged. The run can
          be tried again.
        </p>
      </ConfirmDialog>
      <ConfirmDialog
        open={asks === "delete"}
        onClose={close}
        title="Delete this run?"
        action="Delete"
        danger
        onConfirm={remove}
      >
        <p>The prompt, the document and its link go with it. There is no way back. Its calls stay in the usage.</p>
      </ConfirmDialog>
    </>
  );
}
