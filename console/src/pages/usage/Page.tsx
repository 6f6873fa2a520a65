import { ChartNoAxesColumn } from "lucide-react";
import { useMemo } from "react";
import { AdminsOnly } from "@/shell/AdminsOnly";
import { isAtLeast, useWorkspace } from "@/shell/workspace";
import { EmptyState } from "@/ui/EmptyState";
import { PageBody } from "@/ui/Page";
import { Calls } from "./Calls";
import { useChoices } from "./choices";
import { ExportButton } from "./ExportButton";
import { Sums } from "./Sums";
import { UsageScopeProvider, workspaceUsage } from "./scope";

/** What the workspace's calls came to, and each of them. */
export function Page() {
  const workspace = useWorkspace();
  if (isAtLeast(workspace.role, "admin")) return <Usage />;
  return <AdminsOnly title="Usage" what="Usage tells who called what, and what it cost." />;
}

function Usage() {
  const workspace = useWorkspace();
  const scope = useMemo(() => workspaceUsage(workspace.id), [workspace.id]);
  const choices = useChoices();
  const { period, only, change } = choices;
  const { status } = choices.filters;
  return (
    <UsageScopeProvider value={scope}>
      <PageBody
        title="Usage"
        lead="What the calls of this workspace came to. Sums are kept by UTC day; times are in your zone."
        actions={
          <ExportButton workspace={workspace.id} period={period} only={{ ...only, ...(status ? { status } : {}) }} />
        }
      >
        <Sums
          choices={choices}
          empty={
            <EmptyState icon={ChartNoAxesColumn} title="No calls in these days">
              Calls appear here as soon as a program makes one. Get started has one to copy.
            </EmptyState>
          }
        >
          <Calls period={period} only={only} status={status} onStatus={(value) => change({ status: value })} />
        </Sums>
      </PageBody>
    </UsageScopeProvider>
  );
}
