import { KeyRound, Search } from "lucide-react";
import { useState } from "react";
import { Button } from "@/ui/Button";
import { cx } from "@/ui/cx";
import { EmptyState } from "@/ui/EmptyState";
import { inputClass } from "@/ui/Field";
import { Card, Section } from "@/ui/Page";
import { KeyHint } from "./KeyHint";
import { inOrder, type Key, type Provider, takesKeys } from "./keys";
import { ProviderCard } from "./ProviderCard";
import { useKeyScope } from "./scope";

/** The providers with keys, each with its keys; then those that one could add a key for. */
export function KeyList({
  keys,
  providers,
  onAdd,
}: {
  keys: Key[];
  providers: Provider[];
  onAdd: (provider: string) => void;
}) {
  const scope = useKeyScope();
  const used = [...new Set(keys.map(({ provider }) => provider))];
  const name = (id: string) => providers.find((provider) => provider.id === id)?.name ?? id;
  used.sort((one, other) => name(one).localeCompare(name(other)));
  return (
    <>
      {used.length === 0 ? (
        <EmptyState icon={KeyRound} title={scope.kind === "instance" ? "No platform keys yet" : "No provider keys yet"}>
          Choose a provider below and paste {scope.kind === "instance" ? "a key of the instance" : "your key"}. It
          serves the next call.
        </EmptyState>
      ) : (
        <div className="flex flex-col gap-4">
          {used.map((id) => (
            <ProviderCard
              key={id}
              id={id}
              name={name(id)}
              provider={providers.find((provider) => provider.id === id)}
              keys={inOrder(keys.filter(({ provider }) => provider === id))}
              onAdd={() => onAdd(id)}
            />
          ))}
        </div>
      )}
      <OtherProviders
        providers={providers.filter((provider) => takesKeys(scope, provider) && !used.includes(provider.id))}
        onAdd={onAdd}
      />
    </>
  );
}

function OtherProviders({ providers, onAdd }: { providers: Provider[]; onAdd: (provider: string) => void }) {
  const scope = useKeyScope();
  const [text, setText] = useState("");
  if (providers.length === 0) return null;
  const wanted = text.trim().toLowerCase();
  const found = providers.filter(({ id, name }) => `${id} ${name}`.toLowerCase().includes(wanted));
  return (
    <Section
      title="Providers"
      lead={`Where ${scope.kind === "instance" ? "the instance" : "you"} can bring a key, what it looks like, and where to get one.`}
    >
      <Card>
        <div className="relative border-b border-line p-2">
          <Search aria-hidden="true" size={16} className="absolute top-1/2 left-5 -translate-y-1/2 text-soft" />
          <input
            type="search"
            aria-label="Find a provider"
            placeholder="Find a provider"
            value={text}
            onChange={(event) => setText(event.target.value)}
            className={cx(inputClass, "border-transparent pl-9")}
          />
        </div>
        <ul className="divide-y divide-line">
          {found.map((provider) => (
            <li key={provider.id} className="flex items-center gap-4 px-4 py-2.5">
              <div className="min-w-0 flex-1">
                <p className="font-medium">{provider.name}</p>
                <KeyHint provider={provider} />
              </div>
              <Button onClick={() => onAdd(provider.id)} aria-label={`Add a key for ${provider.name}`}>
                Add key
              </Button>
            </li>
          ))}
        </ul>
        {found.length === 0 && <p className="px-4 py-8 text-center text-soft">No provider is called like that.</p>}
      </Card>
    </Section>
  );
}
