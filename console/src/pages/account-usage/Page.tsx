import { ChartNoAxesColumn } from "lucide-react";
import { useMemo } from "react";
import { useChoices } from "@/pages/usage/choices";
import { Sums } from "@/pages/usage/Sums";
import { accountUsage, UsageScopeProvider } from "@/pages/usage/scope";
import { useMe } from "@/shell/workspace";
import { EmptyState } from "@/ui/EmptyState";
import { PageBody } from "@/ui/Page";

/** What the calls of all of one's workspaces came to. */
export function Page() {
  const account = useMe().user.account_id;
  const scope = useMemo(() => accountUsage(account), [account]);
  const choices = useChoices();
  return (
    <UsageScopeProvider value={scope}>
      <PageBody
        title="Usage"
        lead="What the calls of all workspaces that you own came to, those of deleted ones too, whoever made them. Sums are kept by UTC day. Each call stands on the page Usage of its workspace."
      >
        <Sums
          choices={choices}
          empty={
            <EmptyState icon={ChartNoAxesColumn} title="No calls in these days">
              Sums appear here as soon as somebody calls a model in a workspace of yours.
            </EmptyState>
          }
        />
      </PageBody>
    </UsageScopeProvider>
  );
}
