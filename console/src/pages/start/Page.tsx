import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { providerKeysQuery, providersQuery } from "@/api/queries";
import { aiConfigQuery } from "@/pages/ai-config/policy";
import { apiKeysQuery } from "@/pages/api-keys/queries";
import { cheapest, modelsQuery } from "@/pages/models/models";
import { firstKey, forgetFirstKey } from "@/shell/firstKey";
import { useWorkspace } from "@/shell/workspace";
import { ErrorNote } from "@/ui/ErrorNote";
import { PageBody } from "@/ui/Page";
import { Skeleton } from "@/ui/Skeleton";
import { Snippets } from "@/ui/Snippets";
import { ApiKeyStep } from "./ApiKeyStep";
import { FirstCall } from "./FirstCall";
import { Next } from "./Next";
import { ProviderKeyStep } from "./ProviderKeyStep";
import { latestCallsQuery } from "./queries";
import { Step } from "./Step";
import { serving } from "./serving";

/** From nothing to the first call of a model, step by step. */
export function Page() {
  const workspace = useWorkspace();
  const providerKeys = useQuery(providerKeysQuery(workspace.id));
  const providers = useQuery(providersQuery);
  const models = useQuery(modelsQuery(workspace.id));
  const config = useQuery(aiConfigQuery(workspace.id));
  const apiKeys = useInfiniteQuery(apiKeysQuery(workspace.id));
  const latest = useQuery(latestCallsQuery(workspace.id));
  const [minted, setMinted] = useState(() => firstKey(workspace.id));
  useEffect(forgetFirstKey, []);
  const served = models.data && config.data && serving(models.data.models, config.data);
  const usable = apiKeys.data?.pages.flatMap(({ data }) => data).some(({ revoked_at }) => !revoked_at) ?? false;
  const failed = [models, config, providerKeys].find(({ isLoadingError }) => isLoadingError);
  return (
    <PageBody title="Get started" lead="Three steps to the first call of a model through Keybearer.">
      <ol className="flex flex-col">
        <Step number={1} title="A provider key, or credits" done={served?.any ?? false}>
          {failed ? (
            <ErrorNote error={failed.error} title="What serves could not be asked" />
          ) : served && config.data && providerKeys.data ? (
            <ProviderKeyStep
              mode={config.data.effective_mode ?? null}
              serving={served}
              instanceServes={config.data.managed_available || served.credits}
              creditsLeft={config.data.credits_left}
              keys={providerKeys.data}
              providers={providers.data ?? []}
            />
          ) : (
            <Skeleton className="h-21 max-w-2xl" />
          )}
        </Step>
        <Step number={2} title="An API key for your program" done={usable}>
          <ApiKeyStep minted={minted} usable={usable} onMinted={setMinted} />
        </Step>
        <Step number={3} title="The first call" done={latest.data?.answered ?? false} last>
          <div className="flex flex-col gap-4">
            <Snippets apiKey={minted} model={models.data && cheapest(models.data.models)?.id} />
            <FirstCall latest={latest.data} error={latest.isLoadingError ? latest.error : undefined} />
          </div>
        </Step>
      </ol>
      {served?.any && usable && latest.data?.answered && <Next />}
    </PageBody>
  );
}
