import { ChartNoAxesColumn } from "lucide-react";
import { api, ok } from "@/api/client";
import { useChoices } from "@/pages/usage/choices";
import { ACCOUNT, MODEL, PLATFORM_KEY, PROVIDER, WORKSPACE } from "@/pages/usage/dimensions";
import { Sums } from "@/pages/usage/Sums";
import { type UsageScope, UsageScopeProvider } from "@/pages/usage/scope";
import { EmptyState } from "@/ui/EmptyState";
import { PageBody } from "@/ui/Page";

const INSTANCE: UsageScope = {
  queryKey: ["admin", "usage"],
  summary: (query, signal) => ok(api.GET("/api/v1/admin/usage/summary", { params: { query }, signal })),
  dimensions: [ACCOUNT, WORKSPACE, PROVIDER, MODEL, PLATFORM_KEY],
  platformCost: true,
};

/** What the calls of everybody came to. */
export function Page() {
  const choices = useChoices();
  return (
    <UsageScopeProvider value={INSTANCE}>
      <PageBody
        title="Usage"
        lead="What the calls of all accounts came to, those of deleted workspaces too. Who called and with which own keys is told to their workspaces alone. Sums are kept by UTC day."
      >
        <Sums
          choices={choices}
          empty={
            <EmptyState icon={ChartNoAxesColumn} title="No calls in these days">
              Sums appear here as soon as somebody calls a model. Choose more days to look further back.
            </EmptyState>
          }
        />
      </PageBody>
    </UsageScopeProvider>
  );
}
