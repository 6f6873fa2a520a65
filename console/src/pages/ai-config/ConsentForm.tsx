import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { credits, creditsOf } from "@/format/credits";
import { usd } from "@/format/money";
import { useWorkspace } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import { Checkbox } from "@/ui/Checkbox";
import { ErrorNote } from "@/ui/ErrorNote";
import { TextField } from "@/ui/Field";
import { Card, Section } from "@/ui/Page";
import { useUnsaved } from "@/ui/Unsaved";
import { aiConfigQuery, consentLead, nanoUsdOfCredits, type Policy, typedCredits, usePatchPolicy } from "./policy";

interface Draft {
  onFailure: boolean;
  onDenied: boolean;
  cap: string;
}

/** Whether credits may step in after own keys failed, and up to which amount. */
export function ConsentForm({ policy, mayWrite }: { policy: Policy; mayWrite: boolean }) {
  const stored: Draft = {
    onFailure: policy.managed_on_failure,
    onDenied: policy.managed_on_denied,
    cap:
      typeof policy.managed_fallback_cap_nano_usd === "number"
        ? typedCredits(policy.managed_fallback_cap_nano_usd)
        : "",
  };
  const [draft, setDraft] = useState<Draft>();
  const [fault, setFault] = useState<string>();
  const patch = usePatchPolicy("Consent saved", policy, draft !== undefined);
  const shown = draft ?? stored;
  const edit = (part: Partial<Draft>) => {
    setFault(undefined);
    setDraft({ ...shown, ...part });
  };
  const same = JSON.stringify(shown) === JSON.stringify(stored);
  useUnsaved(!same);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const cap = shown.cap.trim() === "" ? null : nanoUsdOfCredits(shown.cap);
    if (cap === undefined) return setFault("A number of credits below 100,000,000, such as 500 or 2.5.");
    patch.mutate(
      {
        managed_on_failure: shown.onFailure,
        managed_on_denied: shown.onFailure && shown.onDenied,
        managed_fallback_cap_nano_usd: cap,
      },
      { onSuccess: () => setDraft(undefined) },
    );
  };
  const config = useQuery(aiConfigQuery(useWorkspace().id)).data;
  const mode = config ? (config.effective_mode ?? null) : policy.mode;
  return (
    <Section title="When own keys fail" lead={consentLead(mode)}>
      <Card className="p-4">
        {mayWrite ? (
          <form onSubmit={submit} noValidate className="flex flex-col gap-4">
            <Checkbox
              checked={shown.onFailure}
              onChange={(onFailure) => edit({ onFailure, ...(onFailure ? {} : { onDenied: false }) })}
              label="Credits may pay after every own key failed"
              detail="The provider said 429 or 5xx, or did not answer"
            />
            <Checkbox
              checked={shown.onDenied}
              disabled={!shown.onFailure}
              onChange={(onDenied) => edit({ onDenied })}
              label="Also after a key was turned away"
              detail="The provider said 401, 402 or 403, as for a key that somebody revoked there"
            />
            <TextField
              className="max-w-xs"
              label="Cap in credits"
              optional
              hint={`For such calls, in a calendar month (UTC)${worth(shown.cap)}. Empty: whatever the balance bears.`}
              inputMode="decimal"
              autoComplete="off"
              value={shown.cap}
              error={fault}
              onChange={(event) => edit({ cap: event.target.value })}
            />
            {patch.isError && <ErrorNote error={patch.error} />}
            <div>
              <Button type="submit" look="primary" busy={patch.isPending} disabled={same}>
                Save consent
              </Button>
            </div>
          </form>
        ) : (
          <p>{told(policy)}</p>
        )}
      </Card>
    </Section>
  );
}

function worth(cap: string): string {
  const nano = nanoUsdOfCredits(cap);
  return nano === undefined ? "" : `; worth ${usd(nano)}`;
}

function told(policy: Policy): string {
  if (!policy.managed_on_failure) return "Credits never step in for an own key that failed.";
  const cap = policy.managed_fallback_cap_nano_usd;
  const upTo =
    typeof cap === "number"
      ? `up to ${credits(creditsOf(cap), 8)} (${usd(cap)}) in a month`
      : "up to what the balance bears";
  const denied = policy.managed_on_denied ? ", also after it was turned away" : "";
  return `Credits step in for own keys that failed${denied}, ${upTo}.`;
}
