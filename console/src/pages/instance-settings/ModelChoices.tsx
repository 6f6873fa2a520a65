import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { Schemas } from "@/api/client";
import { providersQuery } from "@/api/queries";
import { TIERS, type Tier } from "@/pages/models/models";
import { NamePicker } from "@/pages/models/NamePicker";
import type { Group as Models } from "@/ui/Combobox";
import { Rules } from "./Rules";
import { Group, SettingRow, useEditing } from "./SettingRow";

/** What stands behind names of models where a workspace says nothing. */
export function ModelChoices() {
  const { shown, set } = useEditing();
  const tiers = Object.keys(TIERS) as Tier[];
  const providers = useQuery(providersQuery).data;
  const groups = useMemo(() => groupsOf(providers ?? []), [providers]);
  return (
    <Group
      title="Models"
      lead="Names may stand behind their provider's: openai/gpt-5.4-nano. In a pattern * is any text. What a workspace says comes first."
    >
      <SettingRow
        field="tiers"
        title="Models behind tiers"
        group
        control={(control) => (
          <div className="flex flex-col gap-2">
            {tiers.map((tier) => (
              <div key={tier} className="grid grid-cols-[6rem_minmax(0,1fr)] items-center gap-2">
                <label htmlFor={`${control.id}-${tier}`} className="text-xs text-soft">
                  {TIERS[tier].name}
                </label>
                <NamePicker
                  control={{ ...control, id: `${control.id}-${tier}` }}
                  value={shown.tiers[tier]}
                  onChange={(model) => set("tiers", { ...shown.tiers, [tier]: model })}
                  groups={groups}
                  label={TIERS[tier].name}
                  anyName
                />
              </div>
            ))}
          </div>
        )}
      >
        Where a workspace has none. The model of level 1 also serves calls for which nobody chose.
      </SettingRow>
      <SettingRow
        field="model_mappings"
        title="Model mappings"
        wide
        group
        control={() => (
          <Rules
            rows={shown.model_mappings}
            onChange={(rows) => set("model_mappings", rows)}
            what="mapping"
            most={200}
            blank={{ pattern: "", model: "" }}
            none="None. Names of models stand for themselves."
            columns={[
              { name: "pattern", label: "Name that is called", placeholder: "gpt-3.5*" },
              { name: "model", label: "Model that serves", placeholder: "openai/gpt-5.4-nano" },
            ]}
          />
        )}
      >
        A call for a name that fits goes to another model, once; usage and price are that model's. The first that fits
        counts, at most 200.
      </SettingRow>
      <SettingRow
        field="level_mappings"
        title="Key levels"
        wide
        group
        control={() => (
          <Rules
            rows={shown.level_mappings}
            onChange={(rows) => set("level_mappings", rows)}
            what="key level"
            most={200}
            blank={{ pattern: "", level: "" }}
            none="None. Keys serve in the order of their own levels and places."
            columns={[
              { name: "pattern", label: "Model", placeholder: "claude*" },
              { name: "level", label: "Level, 0 to 9999", placeholder: "2", decimal: true },
            ]}
          />
        )}
      >
        A call for a model that fits tries the keys of a level before all others. The first that fits counts, at most
        200.
      </SettingRow>
    </Group>
  );
}

/** The models that providers list, by provider; before them the choice of none. */
function groupsOf(providers: Schemas["ProviderView"][]): Models[] {
  const listed = providers.map(({ id, name, models }) => ({
    value: name,
    items: models.map((model) => ({ value: `${id}/${model.id}`, label: `${id}/${model.id}` })),
  }));
  return [
    { value: "Left open", items: [{ value: "", label: "None" }] },
    ...listed.filter(({ items }) => items.length > 0),
  ];
}
