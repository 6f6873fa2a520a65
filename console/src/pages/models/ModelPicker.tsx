import { useMemo } from "react";
import type { Entry, Group } from "@/ui/Combobox";
import type { ControlProps } from "@/ui/Field";
import { type Model, type Models, served, TIERS } from "./models";
import { NamePicker } from "./NamePicker";
import type { Presets } from "./presets";

const NOTHING: Entry[] = [];

/**
 * A choice of a model: what stands before all others, presets, tiers, the models that own keys serve, those that credits pay for,
 * and the rest. Another name of the form `provider/model` is taken as it is typed.
 */
export function ModelPicker({
  models,
  first = NOTHING,
  tiers,
  onlyServed,
  presets,
  ...picker
}: {
  value: string;
  onChange: (value: string) => void;
  models: Models;
  /** Choices in front of all models; the same array from one rendering to the next. */
  first?: Entry[];
  /** Whether tiers can be chosen. */
  tiers?: boolean;
  /** Leaves out what would be refused. */
  onlyServed?: boolean;
  /** Presets that can be chosen: the workspace's, where a request would name them. */
  presets?: Presets;
  /** Takes names without a provider, too. */
  anyName?: boolean;
  control?: ControlProps;
  label?: string;
  disabled?: boolean;
}) {
  const groups = useMemo(
    () => groupsOf(models, first, presets, tiers === true, onlyServed === true),
    [models, first, presets, tiers, onlyServed],
  );
  return <NamePicker {...picker} groups={groups} />;
}

export function groupsOf(
  models: Models,
  first: Entry[],
  presets: Presets = {},
  tiers = false,
  onlyServed = false,
): Group[] {
  const entry = (model: Model): Entry => ({
    value: model.id,
    label: model.id,
    detail: served(model).word.toLowerCase(),
  });
  const of = (which: (model: Model) => boolean) => models.models.filter(which).map(entry);
  const tierEntries: Entry[] = models.tiers
    .filter(({ tier, locked, refusal }) => tier !== "embeddings" && (locked || !onlyServed || refusal === null))
    .map(({ tier, locked, plans, model }) => ({
      value: tier,
      label: TIERS[tier].name,
      detail: locked ? `needs ${plans.join(" or ") || "another plan"}` : (model ?? "no model"),
      locked,
    }));
  return [
    { value: "Left open", items: first },
    {
      value: "Presets",
      items: Object.entries(presets).map(([name, { models }]) => ({
        value: `@${name}`,
        label: `@${name}`,
        detail: models.join(", "),
      })),
    },
    { value: "Tiers", items: tiers ? tierEntries : [] },
    { value: "My models", items: of(({ mine }) => mine) },
    { value: "Paid by credits", items: of((model) => !model.mine && model.key_source === "managed") },
    { value: "Refused as things stand", items: onlyServed ? [] : of((model) => !model.mine && !model.key_source) },
  ].filter(({ items }) => items.length > 0);
}
