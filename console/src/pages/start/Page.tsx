import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { policyQuery, providerKeysQuery, providersQuery } from "@/api/queries";
import { apiKeysQuery } from "@/pages/api-keys/queries";
import { isAtLeast, useWorkspace } from "@/shell/workspace";
import { PageBody } from "@/ui/Page";
import { Snippets } from "@/ui/Snippets";
import { ApiKeyStep } from "./ApiKeyStep";
import { FirstCall } from "./FirstCall";
import { ProviderKeyStep } from "./ProviderKeyStep";
import { latestCallsQuery } from "./queries";
import { Step } from "./Step";

/** From nothing to the first call of a model, step by step. */
export function Page() {
  const workspace = useWorkspace();
  const providerKeys = useQuery(providerKeysQuery(workspace.id));
  const providers = useQuery(providersQuery);
  const policy = useQuery(policyQuery(workspace.id));
  const apiKeys = useInfiniteQuery(apiKeysQuery(workspace.id));
  const calls = useQuery(latestCallsQuery(workspace.id));
  const [minted, setMinted] = useState<string>();
  const served = [...new Set(providerKeys.data?.map(({ provider }) => provider))];
  const paid = served.length > 0 || (policy.data !== undefined && policy.data.mode !== "byok");
  const usable = apiKeys.data?.pages.flatMap(({ data }) => data).some(({ revoked_at }) => !revoked_at) ?? false;
  return (
    <PageBody title="Get started" lead="Three steps to the first call of a model through Keybearer.">
      <ol className="flex flex-col">
        <Step number={1} title="A provider key, or credits" done={paid}>
          <ProviderKeyStep
            mode={policy.data?.mode}
            served={served}
            mayAdd={isAtLeast(workspace.role, "admin")}
            providers={providers.data ?? []}
          />
        </Step>
        <Step number={2} title="An API key for your program" done={usable}>
          <ApiKeyStep minted={minted} usable={usable} onMinted={setMinted} />
        </Step>
        <Step number={3} title="The first call" done={(calls.data?.length ?? 0) > 0} last>
          <div className="flex flex-col gap-4">
            <Snippets apiKey={minted} model={modelOf(served, providers.data ?? [])} />
            <FirstCall calls={calls.data} error={calls.isLoadingError ? calls.error : undefined} />
          </div>
        </Step>
      </ol>
    </PageBody>
  );
}

/** A model that the workspace's own keys serve, for the example; the everyday one of OpenAI where there is none. */
function modelOf(served: string[], providers: { id: string; models: { id: string }[] }[]): string | undefined {
  if (served.length === 0 || served.includes("openai")) return undefined;
  const provider = providers.find(({ id, models }) => served.includes(id) && models.length > 0);
  return provider && `${provider.id}/${provider.models[0]?.id}`;
}
