import { Boxes } from "lucide-react";
import { compact, plural } from "@/format/number";
import { useFilters } from "@/shell/filters";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { EmptyState } from "@/ui/EmptyState";
import { Section } from "@/ui/Page";
import { SearchField } from "@/ui/SearchField";
import { Select } from "@/ui/Select";
import { Cell, Table } from "@/ui/Table";
import { useSearchText } from "@/ui/useSearchText";
import { type Model, perMillion, refusalText, served } from "./models";

type Show = "all" | "mine" | "credits" | "refused";

const SHOWS: { value: Show; label: string }[] = [
  { value: "all", label: "All models" },
  { value: "mine", label: "My models" },
  { value: "credits", label: "Paid by credits" },
  { value: "refused", label: "Refused" },
];

const FITS: Record<Show, (model: Model) => boolean> = {
  all: () => true,
  mine: ({ mine }) => mine,
  credits: ({ key_source }) => key_source === "managed",
  refused: ({ key_source }) => !key_source,
};

/** The listed models, narrowed down by what stands in the address. */
export function ModelList({ models, mayAdd, onAdd }: { models: Model[]; mayAdd: boolean; onAdd: () => void }) {
  const [filters, change] = useFilters(["show"]);
  const { typed, text: find, type } = useSearchText("find");
  const show = SHOWS.find(({ value }) => value === filters.show)?.value ?? "all";
  const choose = (next: Show) => change({ show: next === "all" ? undefined : next });
  const showAll = () => {
    type("");
    choose("all");
  };
  const shown = models.filter(FITS[show]).filter(({ id }) => id.toLowerCase().includes(find.toLowerCase()));
  return (
    <Section
      title="Models"
      lead="Those that are listed for providers that are switched on. Others of the same providers work too, as provider/model."
    >
      <div className="flex flex-wrap items-center gap-2">
        <SearchField label="Find a model" value={typed} onChange={type} />
        <div className="w-44">
          <Select label="Which models" value={show} onChange={choose} options={SHOWS} />
        </div>
        <p role="status" className="text-xs text-soft">
          {plural(shown.length, "model")}
        </p>
      </div>
      {shown.length === 0 ? (
        show === "mine" && find === "" ? (
          <EmptyState
            icon={Boxes}
            title="No models of your own yet"
            action={mayAdd && <Button onClick={onAdd}>Add a provider key</Button>}
          >
            They appear with an own key for their provider that may serve.
            {!mayAdd && " Admins of this workspace add keys."}
          </EmptyState>
        ) : (
          <EmptyState icon={Boxes} title="No model fits" action={<Button onClick={showAll}>Show all models</Button>}>
            Another search or another choice may find it.
          </EmptyState>
        )
      ) : (
        <Table
          label="Models"
          head={[
            "Model",
            "Who pays",
            { numeric: "Context" },
            { numeric: "Input, $ / M tokens" },
            { numeric: "Output, $ / M tokens" },
          ]}
        >
          {shown.map((model) => (
            <ModelRow key={model.id} model={model} />
          ))}
        </Table>
      )}
      <p className="text-xs text-soft">
        Context in tokens; list prices. With a plus, long input or each request costs more. A dash: not known.
      </p>
    </Section>
  );
}

function ModelRow({ model }: { model: Model }) {
  const { tone, word } = served(model);
  const { price, context_tokens: context, refusal } = model;
  const more = price && (price.brackets?.length || price.request) ? "+" : "";
  return (
    <tr>
      <Cell>
        <span className="font-medium break-words">{model.id}</span>
        {model.input_modalities.length > 1 && (
          <span className="block text-xs text-soft">reads {model.input_modalities.join(", ")}</span>
        )}
      </Cell>
      <Cell>
        <Badge tone={tone}>{word}</Badge>
        {refusal && <span className="mt-0.5 block text-xs text-soft">{refusalText(refusal)}</span>}
      </Cell>
      <Cell numeric>{typeof context === "number" ? compact(context) : "–"}</Cell>
      <Cell numeric>{price ? perMillion(price.input) + more : "–"}</Cell>
      <Cell numeric>{price ? perMillion(price.output) + more : "–"}</Cell>
    </tr>
  );
}
