import { type FormEvent, useState } from "react";
import { Button } from "@/ui/Button";
import { ErrorNote } from "@/ui/ErrorNote";
import { TextField } from "@/ui/Field";
import { Card, Section } from "@/ui/Page";
import { useUnsaved } from "@/ui/Unsaved";
import { hedgeAfterMs, type Policy, usePatchPolicy } from "./policy";

/** After how long a call that has no answer is sent to the next key too. */
export function HedgeForm({ policy, mayWrite }: { policy: Policy; mayWrite: boolean }) {
  const after = policy.hedge_after_ms;
  const stored = typeof after === "number" ? String(after) : "";
  const [draft, setDraft] = useState<string>();
  const [fault, setFault] = useState<string>();
  const shown = draft ?? stored;
  const same = shown.trim() === stored;
  const patch = usePatchPolicy("Hedging saved", policy, draft !== undefined);
  useUnsaved(!same);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const hedge_after_ms = hedgeAfterMs(shown);
    if (hedge_after_ms === undefined) return setFault("A whole number of milliseconds from 100 to 60000, or nothing.");
    patch.mutate({ hedge_after_ms }, { onSuccess: () => setDraft(undefined) });
  };
  return (
    <Section
      title="When an answer is slow"
      lead="A call without an answer may be sent to the next key, or to the next model that it names, as well. The first answer counts, and the other call is cancelled; its provider may bill it all the same."
    >
      <Card className="p-4">
        {mayWrite ? (
          <form onSubmit={submit} noValidate className="flex flex-col gap-4">
            <TextField
              className="max-w-xs"
              label="Hedge after milliseconds"
              optional
              hint="100 to 60000. Empty: never. Only where the same one pays, and few calls at a time."
              inputMode="numeric"
              autoComplete="off"
              value={shown}
              error={fault}
              onChange={(event) => {
                setFault(undefined);
                setDraft(event.target.value);
              }}
            />
            {patch.isError && <ErrorNote error={patch.error} />}
            <div>
              <Button type="submit" look="primary" busy={patch.isPending} disabled={same}>
                Save hedging
              </Button>
            </div>
          </form>
        ) : (
          <p>{stored === "" ? "Slow calls are waited for." : `Calls are hedged after ${stored} milliseconds.`}</p>
        )}
      </Card>
    </Section>
  );
}
