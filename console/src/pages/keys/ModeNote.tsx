import { useQuery } from "@tanstack/react-query";
import { policyQuery } from "@/api/queries";
import { aiConfigQuery } from "@/pages/ai-config/policy";
import { Note } from "@/ui/Note";

/** What the workspace's mode makes of its own keys, where that is not the plain thing. */
export function ModeNote({ workspace }: { workspace: string }) {
  const { data: policy } = useQuery(policyQuery(workspace));
  const { data: config } = useQuery(aiConfigQuery(workspace));
  if (!policy) return null;
  if (!policy.byok_allowed) {
    return (
      <Note tone="warn">
        The account's plan ({policy.plan}) lets no own key serve. Keys stay stored and serve again under a plan that
        does.
      </Note>
    );
  }
  if (policy.byok === "forbidden") {
    return <Note tone="warn">A guardrail of this workspace forbids own keys: they are stored, and none serves.</Note>;
  }
  if (config?.effective_mode === "managed") {
    return (
      <Note tone="warn">
        This workspace is in the mode <strong>managed</strong>: keys of the instance serve, and credits pay. The keys
        here serve once the mode is <strong>auto</strong> or <strong>byok</strong>.
      </Note>
    );
  }
  return null;
}
