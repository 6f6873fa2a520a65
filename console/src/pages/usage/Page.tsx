import { Link } from "@tanstack/react-router";
import { ChartNoAxesColumn } from "lucide-react";
import { useMemo } from "react";
import { isAtLeast, useWorkspace } from "@/shell/workspace";
import { buttonClass } from "@/ui/Button";
import { EmptyState } from "@/ui/EmptyState";
import { Note } from "@/ui/Note";
import { PageBody } from "@/ui/Page";
import { CallDialog } from "./CallDialog";
import { Calls } from "./Calls";
import { useChoices } from "./choices";
import { ExportButton } from "./ExportButton";
import { Sums } from "./Sums";
import { UsageScopeProvider, workspaceUsage } from "./scope";

/** What the workspace's calls came to, and each of them; for members their own. */
export function Page() {
  const workspace = useWorkspace();
  const everybody = isAtLeast(workspace.role, "admin");
  const scope = useMemo(() => workspaceUsage(workspace.id, everybody), [workspace.id, everybody]);
  const choices = useChoices();
  const { period, only, change } = choices;
  const { status, request } = choices.filters;
  return (
    <UsageScopeProvider value={scope}>
      <PageBody
        title="Usage"
        lead={`What ${everybody ? "the calls of this workspace" : "your own calls in this workspace"} came to. Sums are kept by UTC day; times are in your zone.`}
        actions={
          <ExportButton workspace={workspace.id} period={period} only={{ ...only, ...(status ? { status } : {}) }} />
        }
      >
        {!everybody && (
          <Note>
            These are your own calls: those with API keys that you minted, and those of the playground. Admins of the
            workspace see everybody's.
          </Note>
        )}
        <Sums
          choices={choices}
          empty={
            <EmptyState
              icon={ChartNoAxesColumn}
              title="No calls in these days"
              action={
                <Link to={`/w/${workspace.id}/start`} className={buttonClass("primary")}>
                  Copy a first call
                </Link>
              }
            >
              Calls appear here as soon as a program makes one.
            </EmptyState>
          }
        >
          <Calls
            period={period}
            only={only}
            status={status}
            onStatus={(value) => change({ status: value })}
            onOpen={(id) => change({ request: id })}
          />
        </Sums>
        {request && <CallDialog request={request} onClose={() => change({ request: undefined })} />}
      </PageBody>
    </UsageScopeProvider>
  );
}
