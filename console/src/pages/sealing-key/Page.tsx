import { useQuery, useQueryClient } from "@tanstack/react-query";
import { RotateCw } from "lucide-react";
import { useState } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { LIVE_MS } from "@/api/queries";
import { plural } from "@/format/number";
import { day } from "@/format/time";
import { publicKeyQuery } from "@/pages/keys/publicKey";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { CopyButton } from "@/ui/Copy";
import { ErrorNote, ErrorState } from "@/ui/ErrorNote";
import { Fact, Facts } from "@/ui/Facts";
import { PageBody, Section } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { Time } from "@/ui/Time";
import { toast } from "@/ui/Toaster";
import { sealingKeyQuery } from "./queries";
import { Rotations } from "./Rotations";

/** The key to which clients seal provider keys: how old it is, what it was before, and the way to a new one. */
export function Page() {
  const queries = useQueryClient();
  const key = useQuery(sealingKeyQuery);
  const [asking, setAsking] = useState(false);
  const rotate = async () => {
    const next = await ok(api.POST("/api/v1/sealing-key/rotate"));
    queries.setQueryData(sealingKeyQuery.queryKey, next);
    await Promise.all([
      queries.invalidateQueries(sealingKeyQuery),
      queries.invalidateQueries({ queryKey: publicKeyQuery.queryKey }),
      // The history is read from the log.
      queries.invalidateQueries({ queryKey: ["admin", "audit"] }),
    ]);
    toast("The sealing key is replaced", `The new one is ${next.kek_id}.`);
  };
  return (
    <PageBody
      title="Sealing key"
      lead="Browsers and the command line seal provider keys to its public half before they leave the machine. The private half opens them here, once, when they arrive; stored keys are encrypted with other keys."
      actions={
        <Button onClick={() => setAsking(true)} disabled={!key.data}>
          <RotateCw aria-hidden="true" size={16} /> Rotate now
        </Button>
      }
    >
      {key.isPending ? (
        <SkeletonRows label="Loading the sealing key" />
      ) : key.isLoadingError ? (
        <ErrorState error={key.error} retry={() => key.refetch()} />
      ) : (
        <Current sealingKey={key.data} />
      )}
      <Section title="History" lead="When a new key took the place of the one before, newest first.">
        <Rotations current={key.data?.kek_id} />
      </Section>
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title="Rotate the sealing key now?"
        action="Rotate now"
        danger
        onConfirm={rotate}
      >
        <p>A new pair takes its place at once, and the old private half is destroyed. There is no way back.</p>
        <ul className="flex list-disc flex-col gap-1 pl-4">
          <li>Stored provider keys stay as they are and go on serving.</li>
          <li>
            What was sealed to the old key and has not arrived is refused with <code>409 stale_kek</code>. Pages of the
            console seal it anew by themselves; programs fetch the new key and do the same.
          </li>
          <li>
            The command line has noted the old fingerprint and seals nothing until somebody runs{" "}
            <code>keybearer keys trust</code> with the new one. Tell people the new fingerprint in a way that they
            trust.
          </li>
        </ul>
      </ConfirmDialog>
    </PageBody>
  );
}

const DAY_MS = 86_400_000;

function Current({ sealingKey: key }: { sealingKey: Schemas["SealingKeyView"] }) {
  const age = Math.floor((Date.now() - Date.parse(key.created_at)) / DAY_MS);
  return (
    <Facts>
      <Fact name="Fingerprint">
        <code className="font-mono break-words">{key.fingerprint}</code>
      </Fact>
      <Fact name="Id (kek_id)">
        <code className="font-mono text-xs break-all">{key.kek_id}</code>
        <CopyButton text={key.kek_id} name="the id of the sealing key" />
      </Fact>
      <Fact name="Checked in this browser">
        <Checked kekId={key.kek_id} />
      </Fact>
      <Fact name="Age">
        <span>
          {age < 1 ? "Less than a day" : plural(age, "day")}, made <Time at={key.created_at} />
        </span>
      </Fact>
      <Fact name="Replaced by itself">
        <span>
          {day(key.expires_at)}, <Time at={key.expires_at} />
        </span>
      </Fact>
    </Facts>
  );
}

/** Whether the public key that clients are given has this fingerprint, computed here. */
function Checked({ kekId }: { kekId: string }) {
  // Asked for anew for each fingerprint that the server tells, so that the two never drift apart for long.
  const queryKey = [...publicKeyQuery.queryKey, kekId];
  const key = useQuery({ ...publicKeyQuery, queryKey, refetchInterval: LIVE_MS });
  if (key.isError) return <ErrorNote error={key.error} title="The sealing key cannot be used" />;
  if (!key.data) return <span className="text-soft">Computing</span>;
  if (key.data.kekId !== kekId) return <Badge tone="warn">The public key has another fingerprint</Badge>;
  return <Badge tone="ok">The public key has this fingerprint</Badge>;
}
