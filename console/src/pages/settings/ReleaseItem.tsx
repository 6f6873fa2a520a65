import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { policyQuery } from "@/api/queries";
import { type Policy, usePatchPolicy } from "@/pages/ai-config/policy";
import { useWorkspace } from "@/shell/workspace";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { ErrorNote } from "@/ui/ErrorNote";
import { Card, Section } from "@/ui/Page";
import { Switch } from "@/ui/Switch";

/** Whether provider keys may leave the gateway, for programs that need them themselves. */
export function ReleaseItem() {
  const policy = useQuery(policyQuery(useWorkspace().id));
  if (!policy.data) return policy.isLoadingError ? <ErrorNote error={policy.error} /> : null;
  return <Release policy={policy.data} />;
}

function Release({ policy }: { policy: Policy }) {
  const [asking, setAsking] = useState(false);
  const patch = usePatchPolicy("Release of keys changed", policy, asking);
  return (
    <Section
      title="Release of provider keys"
      lead="For programs that need a provider's key itself. What is called with it passes the gateway by: it is neither metered nor limited here."
    >
      <Card className="flex items-start justify-between gap-4 p-4">
        <div>
          <p className="font-medium">Hand keys of this workspace out</p>
          <p className="text-xs text-soft">
            To admins who start a program with <code>keybearer run --inject raw</code>, sealed for that program. Only
            where the instance allows it, too (<code>release_keys_allowed</code>).
          </p>
        </div>
        <Switch
          label="Hand keys of this workspace out"
          checked={policy.release_keys}
          disabled={patch.isPending}
          onChange={(on) => (on ? setAsking(true) : patch.mutate({ release_keys: false }))}
        />
      </Card>
      {patch.isError && <ErrorNote error={patch.error} />}
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title="Hand provider keys out?"
        action="Allow release"
        danger
        onConfirm={() => patch.mutateAsync({ release_keys: true })}
      >
        <p>
          Until now no key leaves the gateway. From now on admins of this workspace can give programs its provider keys
          in plain text; whoever reads such a program's environment has the key. Each release stands in the audit log.
        </p>
      </ConfirmDialog>
    </Section>
  );
}
