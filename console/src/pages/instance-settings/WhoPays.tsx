import { MODES } from "@/pages/ai-config/ModeForm";
import { Checkbox } from "@/ui/Checkbox";
import type { Option } from "@/ui/Select";
import type { Form, Mode } from "./form";
import { ChoiceRow, Group, SettingRow, useEditing, YesNoRow } from "./SettingRow";

const ALL_MODES: Mode[] = ["byok", "auto", "managed"];

const RULES: Option<Form["on_key_removed"]>[] = [
  { value: "follow_mode", label: "As the mode says", detail: "auto goes to credits, byok is refused" },
  { value: "managed", label: "Credits pay", detail: "In the mode byok, too" },
  { value: "refuse", label: "Refused", detail: "In the mode auto, too" },
];

/** Which modes there are, and when credits may pay. */
export function WhoPays({ gateways }: { gateways: Option<string>[] }) {
  const { shown, set } = useEditing();
  const toggle = (mode: Mode, on: boolean) =>
    set("modes", on ? [...shown.modes, mode] : shown.modes.filter((other) => other !== mode));
  const newModes: Option<Form["new_workspace_mode"]>[] = [
    { value: "", label: "Whichever fits", detail: "Credits where a platform key serves, else own keys" },
    ...ALL_MODES.map((mode) => ({ value: mode, label: MODES[mode].label, disabled: !shown.modes.includes(mode) })),
  ];
  return (
    <Group title="Who pays" lead="Workspaces choose within what is offered here.">
      <SettingRow
        field="modes"
        title="Offered modes"
        group
        control={() => (
          <div className="flex flex-col gap-2.5">
            {ALL_MODES.map((mode) => (
              <Checkbox
                key={mode}
                checked={shown.modes.includes(mode)}
                onChange={(on) => toggle(mode, on)}
                label={MODES[mode].label}
                detail={mode}
              />
            ))}
          </div>
        )}
      >
        The modes that a workspace may be set to; at least one. A workspace that is in another one already counts as
        byok; where byok is not offered either, its calls are refused.
      </SettingRow>
      <ChoiceRow field="new_workspace_mode" title="Mode of new workspaces" options={newModes}>
        Where their account has no defaults of its own.
      </ChoiceRow>
      <YesNoRow
        field="managed_fallback_allowed"
        title="Credits in the place of own keys"
        label="Credits may pay where own keys do not serve"
      >
        In the mode auto, by a workspace's consent, and by the two rules below. Off, credits pay in the mode managed
        alone.
      </YesNoRow>
      <ChoiceRow field="on_byok_disabled" title="When own keys are switched off" options={RULES}>
        What calls meet that have an own key while own keys are switched off for its provider.
      </ChoiceRow>
      <ChoiceRow field="on_key_removed" title="When the last own key was removed" options={RULES}>
        What calls meet after the last own key for a provider was removed.
      </ChoiceRow>
      <ChoiceRow
        field="managed_gateway"
        title="Gateway for managed calls"
        options={[{ value: "", label: "None" }, ...gateways]}
      >
        Where calls that credits pay go when no platform key for a provider of the model serves. Calls on own keys never
        go there.
      </ChoiceRow>
    </Group>
  );
}
