import { Checkbox } from "@/ui/Checkbox";
import { type ControlProps, inputClass } from "@/ui/Field";
import { type Option, Select } from "@/ui/Select";
import type { Form, Tri } from "./form";
import { ChoiceRow, Group, NumberRow, SettingRow, useEditing, YesNoRow } from "./SettingRow";

const URLS: Option<Tri>[] = [
  { value: "", label: "As the server's option says" },
  { value: "yes", label: "Allowed" },
  { value: "no", label: "Not allowed" },
];

/** How own keys come in, what is shown of them, and what is recorded of their calls. */
export function OwnKeys() {
  const { shown, set } = useEditing();
  return (
    <Group title="Own keys" lead="Keys of workspaces and accounts.">
      <ChoiceRow
        field="submission"
        title="How keys are submitted"
        options={[
          { value: "both", label: "Sealed, or in plain text", detail: "Plain text over loopback or TLS alone" },
          { value: "sealed_only", label: "Sealed only" },
        ]}
      >
        This console always seals. Of this and the server's own option the stricter one holds.
      </ChoiceRow>
      <YesNoRow
        field="release_keys_allowed"
        title="Handing keys out"
        label="Workspaces may let their own keys be handed out"
      >
        To run programs with, sealed to a key of theirs. Each workspace allows it for itself besides; off, it is refused
        everywhere at once.
      </YesNoRow>
      <ChoiceRow field="custom_base_urls" title="Base URLs of keys" options={URLS}>
        Whether a key may have a base URL of its own. Switches of a provider come before this.
      </ChoiceRow>
      <ChoiceRow
        field="mask"
        title="What is shown of a key"
        options={[
          { value: "first4_last4", label: "Both ends", detail: "The first four and the last four characters" },
          { value: "prefix", label: "How it begins", detail: "The first four characters" },
          { value: "none", label: "Nothing" },
        ]}
      >
        To those who may see it. The key itself is never shown.
      </ChoiceRow>
      <ChoiceRow
        field="mask_visible_to"
        title="Who sees labels and masks"
        options={[
          { value: "member", label: "Members" },
          { value: "admin", label: "Admins" },
          { value: "owner", label: "The owner alone" },
        ]}
      >
        The least role that does; others see that there is a key for a provider.
      </ChoiceRow>
      <NumberRow field="default_level" title="Level of new keys" placeholder="None">
        0 to 9999, or nothing. Keys of one level take turns, lower levels come first, keys without one last.
      </NumberRow>
      <ChoiceRow
        field="byok_metering"
        title="What is recorded of their calls"
        options={[
          { value: "shadow", label: "Tokens and list price" },
          { value: "none", label: "Tokens alone" },
        ]}
      >
        Nothing is charged for calls on own keys either way.
      </ChoiceRow>
      <ChoiceRow
        field="audit_detail"
        title="What audit logs tell"
        options={[
          { value: "standard", label: "Who acted, and the sealing key" },
          { value: "minimal", label: "Neither of them" },
        ]}
      >
        Those of workspaces and accounts. The log of the instance always tells all.
      </ChoiceRow>
      <SettingRow
        field="other_providers"
        title="Providers without switches of their own"
        group
        control={(control) => <Others control={control} value={shown.other_providers} set={set} />}
      >
        What is switched on for every provider that has none of its own on the page Providers. Models: the providers'
        own names, a line each, with * for any text, at most 200; nothing: all of them.
      </SettingRow>
    </Group>
  );
}

function Others({
  control,
  value,
  set,
}: {
  control: ControlProps;
  value: Form["other_providers"];
  set: (field: "other_providers", value: Form["other_providers"]) => void;
}) {
  const edit = (part: Partial<Form["other_providers"]>) => set("other_providers", { ...value, ...part });
  return (
    <div className="flex flex-col gap-2.5">
      <Checkbox checked={value.enabled} onChange={(enabled) => edit({ enabled })} label="They serve" />
      <Checkbox checked={value.byok} onChange={(byok) => edit({ byok })} label="Own keys for them serve" />
      <Select
        label="Base URLs of own keys for them"
        value={value.custom_base_urls}
        options={[
          { value: "", label: "Base URLs: as the instance says" },
          { value: "yes", label: "Base URLs: allowed" },
          { value: "no", label: "Base URLs: not allowed" },
        ]}
        onChange={(custom_base_urls) => edit({ custom_base_urls })}
      />
      <textarea
        {...control}
        aria-label="Models of them"
        rows={2}
        className={`${inputClass} h-auto py-1.5`}
        placeholder="All models"
        spellCheck={false}
        value={value.models}
        onChange={(event) => edit({ models: event.target.value })}
      />
    </div>
  );
}
