import { useState } from "react";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { Section } from "@/ui/Page";
import { RadioCards } from "@/ui/RadioCards";
import { useUnsaved } from "@/ui/Unsaved";
import { type Guardrail, type Policy, usePatchPolicy } from "./policy";

const GUARDRAILS: Record<Guardrail, { label: string; means: string }> = {
  optional: { label: "None", means: "Own keys and credits pay as the mode says." },
  required: {
    label: "Never credits",
    means: "Only own keys serve. In the mode managed every call is refused.",
  },
  forbidden: {
    label: "Never own keys",
    means: "Own keys stay stored and none serves. In the mode byok every call is refused.",
  },
};

/** What holds whatever the mode says. */
export function GuardrailForm({ policy, mayWrite }: { policy: Policy; mayWrite: boolean }) {
  const [chosen, setChosen] = useState<Guardrail>();
  const [asking, setAsking] = useState(false);
  const value = chosen ?? policy.byok;
  useUnsaved(value !== policy.byok);
  const patch = usePatchPolicy("Guardrail changed", policy, chosen !== undefined);
  const change = async () => {
    await patch.mutateAsync({ byok: value });
    setChosen(undefined);
  };
  return (
    <Section title="Guardrail" lead="Stands above the mode, whoever changes that later.">
      <RadioCards
        label="Guardrail"
        value={value}
        onChange={setChosen}
        disabled={!mayWrite}
        options={(Object.keys(GUARDRAILS) as Guardrail[]).map((entry) => ({
          value: entry,
          label: GUARDRAILS[entry].label,
          mark: (
            <>
              <code className="font-mono text-xs text-soft">{entry}</code>
              {entry === policy.byok && <Badge tone="accent">In use</Badge>}
            </>
          ),
          children: GUARDRAILS[entry].means,
        }))}
      />
      {mayWrite && (
        <div className="flex flex-wrap gap-2">
          <Button look="primary" disabled={value === policy.byok} onClick={() => setAsking(true)}>
            Change guardrail
          </Button>
          {value !== policy.byok && <Button onClick={() => setChosen(undefined)}>Cancel</Button>}
        </div>
      )}
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title={`Change the guardrail to ${value}?`}
        action="Change guardrail"
        onConfirm={change}
      >
        <p>From the next call on: {GUARDRAILS[value].means}</p>
      </ConfirmDialog>
    </Section>
  );
}
