import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useWorkspace } from "@/shell/workspace";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { Note } from "@/ui/Note";
import { Section } from "@/ui/Page";
import { type RadioCard, RadioCards } from "@/ui/RadioCards";
import { useUnsaved } from "@/ui/Unsaved";
import { NoCredits } from "./NoCredits";
import { NoPlatformKey } from "./NoPlatformKey";
import { aiConfigQuery, type Mode, type Policy, usePatchPolicy } from "./policy";

interface Words {
  label: string;
  lead: string;
  withKey: string;
  without: string;
  /** What happens when it is chosen. */
  effect: string;
}

export const MODES: Record<Mode, Words> = {
  byok: {
    label: "Own keys",
    lead: "Your providers bill you.",
    withKey: "the own key serves",
    without: "refused, 402",
    effect: "Own keys serve and their providers bill their owners. A call that none can serve is refused with 402.",
  },
  auto: {
    label: "Own keys, else credits",
    lead: "Your providers bill you where you have a key.",
    withKey: "the own key serves",
    without: "credits pay",
    effect:
      "Own keys serve and their providers bill their owners. Where there is none, a key of the instance serves and credits pay.",
  },
  managed: {
    label: "Credits",
    lead: "Keys of the instance serve.",
    withKey: "credits pay; it is not looked at",
    without: "credits pay",
    effect:
      "Keys of the instance serve and credits pay, also where there are own keys. Those stay stored and are not looked at.",
  },
};

/** The choice of the mode; changed after a word on what it does. */
export function ModeForm({ policy, mayWrite }: { policy: Policy; mayWrite: boolean }) {
  const [chosen, setChosen] = useState<Mode>();
  const [asking, setAsking] = useState(false);
  const mode = chosen ?? policy.mode;
  useUnsaved(mode !== policy.mode);
  const patch = usePatchPolicy("Mode changed", policy, chosen !== undefined);
  const config = useQuery(aiConfigQuery(useWorkspace().id)).data;
  const hindrance = (mode: Mode) => config?.offered_modes.find((view) => view.mode === mode)?.reason;
  const change = async () => {
    await patch.mutateAsync({ mode });
    setChosen(undefined);
  };
  const cards: RadioCard<Mode>[] = (Object.keys(MODES) as Mode[]).map((value) => ({
    value,
    label: MODES[value].label,
    mark: (
      <>
        <code className="font-mono text-xs text-soft">{value}</code>
        {value === (config ? config.effective_mode : policy.mode) && <Badge tone="accent">In use</Badge>}
        {value === policy.mode && config && config.effective_mode !== value && <Badge>Chosen</Badge>}
        {hindrance(value) === "mode_not_offered" && <Badge tone="warn">Not offered here</Badge>}
        {hindrance(value) === "plan_required" && <Badge tone="warn">Not in the plan</Badge>}
      </>
    ),
    disabled: hindrance(value) === "mode_not_offered",
    children: (
      <>
        <span className="block">{MODES[value].lead}</span>
        <span className="mt-2 block text-xs">
          <span className="block">
            With an own key: <span className="text-text">{MODES[value].withKey}</span>
          </span>
          <span className="block">
            Without one: <span className="text-text">{MODES[value].without}</span>
          </span>
        </span>
      </>
    ),
  }));
  return (
    <Section
      title="Mode"
      lead="Who pays. A key can serve if it is for the model's provider, switched on, and allowed by plan and instance."
    >
      <RadioCards label="Mode" value={mode} onChange={setChosen} options={cards} disabled={!mayWrite} />
      {mayWrite ? (
        <div className="flex flex-wrap gap-2">
          <Button look="primary" disabled={mode === policy.mode} onClick={() => setAsking(true)}>
            Change mode
          </Button>
          {mode !== policy.mode && <Button onClick={() => setChosen(undefined)}>Cancel</Button>}
        </div>
      ) : (
        <p className="text-soft">Admins of this workspace change it.</p>
      )}
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title={`Change the mode to ${mode}?`}
        action="Change mode"
        onConfirm={change}
      >
        <p>From the next call on: {MODES[mode].effect}</p>
        <p>Running calls end with the key that they began with. Stored keys stay.</p>
        {mode !== "byok" && config && !config.managed_available && (
          <Note tone="warn">
            <NoPlatformKey />
          </Note>
        )}
        {mode !== "byok" && config?.managed_available && !config.credits_left && (
          <Note tone="warn">
            <NoCredits />
          </Note>
        )}
        {policy.byok === "required" && mode === "managed" && (
          <Note tone="warn">The guardrail of this workspace forbids credits: every call is refused in this mode.</Note>
        )}
        {policy.byok === "forbidden" && mode === "byok" && (
          <Note tone="warn">The guardrail of this workspace forbids own keys: every call is refused in this mode.</Note>
        )}
        {!policy.byok_allowed && mode === "byok" && (
          <Note tone="warn">The account's plan lets no own key serve: every call is refused in this mode.</Note>
        )}
      </ConfirmDialog>
    </Section>
  );
}
