import { useQuery } from "@tanstack/react-query";
import { Boxes } from "lucide-react";
import { useState } from "react";
import type { Schemas } from "@/api/client";
import { compact, plural } from "@/format/number";
import { looksLike } from "@/pages/keys/keys";
import { modelsQuery, perMillion, TIERS, type Tier } from "@/pages/models/models";
import { lastWorkspace } from "@/shell/lastWorkspace";
import { useMe } from "@/shell/workspace";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { EmptyState } from "@/ui/EmptyState";
import { Section } from "@/ui/Page";
import { SearchField } from "@/ui/SearchField";
import { Cell, Table } from "@/ui/Table";
import { useSearchText } from "@/ui/useSearchText";
import { PriceDialog } from "./PriceDialog";
import { type Override, overrideOf, type Price } from "./prices";

type Model = Schemas["ModelView"];

/** The listed models of a provider: behind which tiers they stand, and what they cost here. */
export function ModelTable({
  provider,
  models,
  settings,
}: {
  provider: Schemas["ProviderSwitchView"];
  models: Model[];
  settings: Schemas["SettingsView"];
}) {
  const { typed, text, type } = useSearchText("q");
  const [pricing, setPricing] = useState<string>();
  const listPrices = useListPrices(provider.id);
  const shown = models.filter(({ id }) => id.toLowerCase().includes(text.toLowerCase()));
  return (
    <Section
      title="Models"
      lead="Those that are listed for it. Others of the same provider work too, as provider/model; set a price for them, so that their calls have a cost."
    >
      {models.length > 0 && (
        <div className="flex flex-wrap items-center gap-3">
          <SearchField label="Find a model" value={typed} onChange={type} />
          <p role="status" className="text-xs text-soft">
            {plural(shown.length, "model")}
          </p>
        </div>
      )}
      {models.length === 0 ? (
        <EmptyState icon={Boxes} title="No model is listed">
          It may still serve models that are called as {provider.id}/model.
        </EmptyState>
      ) : shown.length === 0 ? (
        <EmptyState icon={Boxes} title="No model fits" action={<Button onClick={() => type("")}>Show all</Button>}>
          Another search may find it.
        </EmptyState>
      ) : (
        <Table
          label="Models"
          head={[
            "Model",
            "Context",
            "Answer",
            "Input",
            "Output",
            <span key="actions" className="sr-only">
              Actions
            </span>,
          ]}
        >
          {shown.map((model) => {
            const override = overrideOf(settings.prices, provider.id, model.id);
            return (
              <ModelRow
                key={model.id}
                model={model}
                tiers={tiersOf(settings, `${provider.id}/${model.id}`)}
                available={provider.models?.some((pattern) => looksLike(model.id, pattern)) ?? true}
                override={override}
                price={override?.price ?? listPrices.prices.get(model.id)}
                onPrice={override ? undefined : () => setPricing(model.id)}
              />
            );
          })}
        </Table>
      )}
      <p className="text-xs text-soft">
        Context and answer in tokens at most; prices in US dollars for a million tokens. With a plus, long input or each
        request costs more. A dash: not known.
        {listPrices.toldTo && ` List prices are those that the workspace ${listPrices.toldTo} is told.`}
      </p>
      {pricing !== undefined && (
        <PriceDialog
          provider={provider}
          model={pricing}
          taken={settings.prices.filter((one) => one.provider === provider.id).map(({ model }) => model)}
          onClose={() => setPricing(undefined)}
        />
      )}
    </Section>
  );
}

/**
 * The list prices of a provider's models. No operation of the instance tells them: they are those of the workspace that
 * the admin looked at last.
 */
function useListPrices(provider: string): { toldTo: string | undefined; prices: Map<string, Price> } {
  const workspace = lastWorkspace(useMe().workspaces);
  const models = useQuery({ ...modelsQuery(workspace?.id ?? ""), enabled: workspace !== undefined }).data?.models ?? [];
  const prices = models.flatMap(({ provider: of, model, price }): [string, Price][] =>
    of === provider && price ? [[model, price]] : [],
  );
  return { toldTo: workspace?.name, prices: new Map(prices) };
}

function tiersOf(settings: Schemas["SettingsView"], model: string): Tier[] {
  const tiers = Object.entries(settings.tiers).filter(([, behind]) => behind === model);
  return tiers.map(([tier]) => tier as Tier);
}

function ModelRow({
  model,
  tiers,
  available,
  override,
  price,
  onPrice,
}: {
  model: Model;
  tiers: Tier[];
  available: boolean;
  override: Override | undefined;
  price: Price | undefined;
  /** Where it has no price of its own. */
  onPrice: (() => void) | undefined;
}) {
  const { context_tokens: context, max_output_tokens: answer } = model;
  const more = price && (price.brackets?.length || price.request) ? "+" : "";
  return (
    <tr>
      <Cell className="min-w-44">
        <span className="flex flex-wrap items-center gap-x-2 gap-y-1">
          <span className="font-medium break-all">{model.id}</span>
          {tiers.map((tier) => (
            <Badge key={tier} tone="accent" title="Stands behind this tier where a workspace chose no other">
              {TIERS[tier].name}
            </Badge>
          ))}
          {!available && <Badge tone="warn">Not available</Badge>}
        </span>
      </Cell>
      <Cell className="tabular-nums">{typeof context === "number" ? compact(context) : "–"}</Cell>
      <Cell className="tabular-nums">{typeof answer === "number" ? compact(answer) : "–"}</Cell>
      <Cell className="tabular-nums">{price ? perMillion(price.input) + more : "–"}</Cell>
      <Cell className="tabular-nums">{price ? perMillion(price.output) + more : "–"}</Cell>
      <Cell className="text-right whitespace-nowrap">
        {onPrice ? (
          <Button size="small" look="quiet" onClick={onPrice} aria-label={`Set a price for ${model.id}`}>
            Set price
          </Button>
        ) : (
          <span className="inline-flex h-7 items-center">
            <Badge title={`The custom price of ${override?.model}`}>Custom</Badge>
          </span>
        )}
      </Cell>
    </tr>
  );
}
