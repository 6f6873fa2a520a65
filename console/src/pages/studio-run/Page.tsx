import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { ArrowLeft } from "lucide-react";
import { useState } from "react";
import { api, ok } from "@/api/client";
import { isAtLeast, useMe, useWorkspace } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { ErrorState } from "@/ui/ErrorNote";
import { Card, PageBody } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { Time } from "@/ui/Time";
import { toast, toastError } from "@/ui/Toaster";
import { hasEnded, outputsOf, type Run, runQuery, titleOf, visibilityLabel } from "../studio/runs";
import { StatusBadge } from "../studio/StatusBadge";
import { Document } from "./Document";
import { ShareDialog } from "./ShareDialog";
import { Steps } from "./Steps";
import { useRun } from "./useRun";

/** A generation run: how far it is, what it made, and what can be done with it. */
export function Page() {
  const workspace = useWorkspace();
  const { run: id } = useParams({ strict: false }) as { run: string };
  const { run } = useRun(workspace.id, id);
  return (
    <PageBody title={run.data ? titleOf(run.data.prompt) : "Run"} actions={run.data && <Actions run={run.data} />}>
      <Link
        to={`/w/${workspace.id}/studio`}
        className="-mt-2 inline-flex items-center gap-1 self-start text-sm text-accent-text hover:underline"
      >
        <ArrowLeft aria-hidden="true" size={14} /> All runs
      </Link>
      {run.isPending ? (
        <SkeletonRows label="Loading the run" />
      ) : run.isLoadingError || !run.data ? (
        <ErrorState error={run.error} retry={() => run.refetch()} />
      ) : (
        <>
          <Facts run={run.data} />
          <Steps run={run.data} />
          {run.data.status === "succeeded" && <Document run={run.data.id} />}
        </>
      )}
    </PageBody>
  );
}

function Facts({ run }: { run: Run }) {
  const pinned = run.model;
  return (
    <Card className="flex flex-col gap-3 px-4 py-3">
      <div role="status" className="flex flex-wrap items-center gap-x-3 gap-y-1 text-soft">
        <StatusBadge status={run.status} />
        <span>{outputsOf(run)}</span>
        <span>Read by: {visibilityLabel(run.visibility)}</span>
        <span>
          Made <Time at={run.created_at} />
        </span>
        {run.retries > 0 && <span>Tried again: {run.retries}</span>}
      </div>
      <p className="wrap-anywhere whitespace-pre-wrap">{run.prompt}</p>
      {pinned && (
        <p className="text-xs wrap-anywhere text-soft">
          Script pinned to{" "}
          <span className="font-mono">
            {pinned.provider}/{pinned.model}
          </span>
          , {pinned.key_source === "byok" ? "own key " : "paid by credits"}
          {pinned.key_id && <span className="font-mono">{pinned.key_id}</span>}
        </p>
      )}
    </Card>
  );
}

/** What one may do with the run as it is: its maker all of it, admins stop and delete it. */
function Actions({ run }: { run: Run }) {
  const workspace = useWorkspace();
  const me = useMe();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [asks, setAsks] = useState<"cancel" | "delete" | "share">();
  const mine = run.user_id === me.user.id;
  const mayEnd = mine || isAtLeast(workspace.role, "admin");
  const params = { path: { workspace_id: workspace.id, run_id: run.id } };
  const take = (next: Run) => queries.setQueryData(runQuery(workspace.id, run.id).queryKey, next);
  const retry = useMutation({
    mutationFn: () => ok(api.POST("/api/v1/workspaces/{workspace_id}/runs/{run_id}/retry", { params })),
    onSuccess: take,
    onError: toastError,
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
      {mayEnd && !hasEnded(run.status) && <Button onClick={() => setAsks("cancel")}>Cancel run</Button>}
      {mayEnd && (
        <Button look="danger" onClick={() => setAsks("delete")}>
          Delete
        </Button>
      )}
      {asks === "share" && <ShareDialog run={run} onClose={close} />}
      <ConfirmDialog
        open={asks === "cancel"}
        onClose={close}
        title="Cancel this run?"
        action="Cancel run"
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
