import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { api, ok } from "@/api/client";
import { bytes } from "@/format/number";
import { useWorkspace } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { ErrorState } from "@/ui/ErrorNote";
import { Section } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { Cell, Table } from "@/ui/Table";
import { Time } from "@/ui/Time";
import { toast } from "@/ui/Toaster";
import { RowActions } from "./parts";
import { type Script, scriptsQuery } from "./queries";
import { ScriptDialog } from "./ScriptDialog";
import { MOST, RUNS } from "./words";

/** What sets a machine up. */
export function Scripts({ mayWrite }: { mayWrite: boolean }) {
  const workspace = useWorkspace();
  const queries = useQueryClient();
  const scripts = useQuery(scriptsQuery(workspace.id));
  const [opened, setOpened] = useState<{ script?: Script }>();
  const [removing, setRemoving] = useState<Script>();
  const remove = async () => {
    if (!removing) return;
    const params = { path: { workspace_id: workspace.id, script_id: removing.id } };
    await ok(api.DELETE("/api/v1/workspaces/{workspace_id}/scripts/{script_id}", { params }));
    await queries.invalidateQueries(scriptsQuery(workspace.id));
    toast(`The script ${removing.name} is removed`);
  };
  return (
    <Section
      title="Scripts"
      lead="They run one after the other before any service starts. One that fails ends the start."
      actions={
        mayWrite && (
          <Button size="small" onClick={() => setOpened({})} disabled={(scripts.data?.length ?? 0) >= MOST}>
            <Plus aria-hidden="true" size={14} /> New script
          </Button>
        )
      }
    >
      {scripts.isPending ? (
        <SkeletonRows label="Loading the scripts" rows={2} />
      ) : scripts.isLoadingError ? (
        <ErrorState error={scripts.error} retry={() => scripts.refetch()} />
      ) : scripts.data.length === 0 ? (
        <p className="text-soft">None. Machines start the services as they are.</p>
      ) : (
        <Table
          label="Scripts"
          head={["Script", "Runs", { numeric: "Order" }, { numeric: "Length" }, "SHA-256", "Changed"]}
          actions
        >
          {scripts.data.map((script) => (
            <tr key={script.id}>
              <Cell className="font-medium wrap-anywhere">{script.name}</Cell>
              <Cell>{RUNS[script.run_on].label}</Cell>
              <Cell numeric>{script.order}</Cell>
              <Cell numeric>{bytes(script.content_bytes)}</Cell>
              <Cell>
                <code className="font-mono text-xs text-soft" title={script.content_sha256}>
                  {script.content_sha256.slice(0, 12)}…
                </code>
              </Cell>
              <Cell>
                <Time at={script.updated_at} />
              </Cell>
              <RowActions
                what="script"
                name={script.name}
                mayWrite={mayWrite}
                onOpen={() => setOpened({ script })}
                onRemove={() => setRemoving(script)}
              />
            </tr>
          ))}
        </Table>
      )}
      {opened && <ScriptDialog script={opened.script} mayWrite={mayWrite} onClose={() => setOpened(undefined)} />}
      <ConfirmDialog
        open={removing !== undefined}
        onClose={() => setRemoving(undefined)}
        title={`Remove the script ${removing?.name}?`}
        action="Remove script"
        danger
        onConfirm={remove}
      >
        <p>Its text is gone then. Machines on which it ran stay as they are.</p>
      </ConfirmDialog>
    </Section>
  );
}
