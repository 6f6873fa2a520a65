import { Boxes } from "lucide-react";
import { useState } from "react";
import type { Schemas } from "@/api/client";
import { compact, plural } from "@/format/number";
import { perMillion, TIERS, type Tier } from "@/pages/models/models";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { EmptyState } from "@/ui/EmptyState";
import { Section } from "@/ui/Page";
import { SearchField } from "@/ui/SearchField";
import { ActionCell, Cell, Table } from "@/ui/Table";
import { useSearchText } from "@/ui/useSearchText";
import { PriceDialog } from "./PriceDialog";
import type { Model } from "./queries";
import { useSavePrices } from "./useSavePrices";

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
  const savePrices = useSavePrices();
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
            { numeric: "Context" },
            { numeric: "Answer" },
            { numeric: "Input, $ / M tokens" },
            { numeric: "Output, $ / M tokens" },
          ]}
          actions
        >
          {shown.map((model) => (
            <ModelRow
              key={model.id}
              model={model}
              tiers={tiersOf(settings, `${provider.id}/${model.id}`)}
              onPrice={() => setPricing(model.id)}
            />
          ))}
        </Table>
      )}
      <p className="text-xs text-soft">
        Context and answer in tokens at most. With a plus, long input or each request costs more. A dash: not known.
      </p>
      {pricing !== undefined && (
        <PriceDialog
          providers={[provider]}
          model={pricing}
          taken={settings.prices}
          save={savePrices}
          onClose={() => setPricing(undefined)}
        />
      )}
    </Section>
  );
}

function tiersOf(settings: Schemas["SettingsView"], model: string): Tier[] {
  const tiers = Object.entries(settings.tiers).filter(([, behind]) => behind === model);
  return tiers.map(([tier]) => tier as Tier);
}

function ModelRow({ model, tiers, onPrice }: { model: Model; tiers: Tier[]; onPrice: () => void }) {
  const { context_tokens: context, max_output_tokens: answer, available, price, priced_by } = model;
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
      <Cell numeric>{typeof context === "number" ? compact(context) : "–"}</Cell>
      <Cell numeric>{typeof answer === "number" ? compact(answer) : "–"}</Cell>
      <Cell numeric>{price ? perMillion(price.input) + more : "–"}</Cell>
      <Cell numeric>{price ? perMillion(price.output) + more : "–"}</Cell>
      <ActionCell>
        {priced_by === null ? (
          <Button size="small" look="quiet" onClick={onPrice} aria-label={`Set a price for ${model.id}`}>
            Set price
          </Button>
        ) : (
          <span className="inline-flex h-7 items-center">
            <Badge title={`The custom price of ${priced_by}`}>Custom</Badge>
          </span>
        )}
      </ActionCell>
    </tr>
  );
}
