import { useQuery } from "@tanstack/react-query";
import { LIVE_MS, policyQuery } from "@/api/queries";
import { isAtLeast, useWorkspace } from "@/shell/workspace";
import { ErrorState } from "@/ui/ErrorNote";
import { PageBody } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { ConsentForm } from "./ConsentForm";
import { GuardrailForm } from "./GuardrailForm";
import { HedgeForm } from "./HedgeForm";
import { ModeForm } from "./ModeForm";
import { Now } from "./Now";

/** Who pays for the workspace's calls. */
export function Page() {
  const workspace = useWorkspace();
  const policy = useQuery({ ...policyQuery(workspace.id), refetchInterval: LIVE_MS });
  const mayWrite = isAtLeast(workspace.role, "admin");
  return (
    <PageBody
      title="AI config"
      lead="Every call of a model is paid by whoever owns the key that serves it, or by credits. Here the workspace decides which."
    >
      {policy.isPending ? (
        <SkeletonRows label="Loading the AI config" />
      ) : policy.isLoadingError ? (
        <ErrorState error={policy.error} retry={() => policy.refetch()} />
      ) : (
        <>
          <Now policy={policy.data} />
          <ModeForm policy={policy.data} mayWrite={mayWrite} />
          <ConsentForm policy={policy.data} mayWrite={mayWrite} />
          <HedgeForm policy={policy.data} mayWrite={mayWrite} />
          <GuardrailForm policy={policy.data} mayWrite={mayWrite} />
        </>
      )}
    </PageBody>
  );
}
