import { Rules } from "./Rules";
import { Group, NumberRow, SettingRow, useEditing } from "./SettingRow";

/** What makes the pictures of generation runs, and how long runs are kept. */
export function Runs() {
  const { shown, set } = useEditing();
  return (
    <Group title="Generation runs" lead="Documents of the Studio.">
      <SettingRow
        field="image_models"
        title="Models that make pictures"
        wide
        group
        control={() => (
          <Rules
            rows={shown.image_models}
            onChange={(rows) => set("image_models", rows)}
            what="picture model"
            most={5}
            blank={{ provider: "", model: "", credits_per_image: "" }}
            none="None. Runs have no pictures."
            columns={[
              { name: "provider", label: "Provider's id", placeholder: "google" },
              { name: "model", label: "Model", placeholder: "gemini-nano-banana-2.1" },
              { name: "credits_per_image", label: "Credits a picture", placeholder: "3.36", decimal: true },
            ]}
          />
        )}
      >
        With platform keys, paid by credits: the first, and those that stand in for it, at most 5. What a picture costs
        is 0 to 1,000,000 credits, before ratios, factor and rate.
      </SettingRow>
      <NumberRow field="run_retention_days" title="How long runs are kept" unit="days">
        1 to 3650 days after the end of a run; then it is deleted with everything in it.
      </NumberRow>
      <NumberRow field="run_step_timeout_ms" title="How long a step may take" unit="ms">
        1000 to 3,600,000 ms, with all of its calls and the pauses between them; a step that takes longer fails, and its
        call is given up.
      </NumberRow>
    </Group>
  );
}
