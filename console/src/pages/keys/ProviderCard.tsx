import { Plus } from "lucide-react";
import { plural } from "@/format/number";
import { IconButton } from "@/ui/Button";
import { Card } from "@/ui/Page";
import { ReorderList } from "@/ui/Reorder";
import { KeyHint } from "./KeyHint";
import { KeyRow } from "./KeyRow";
import { type Key, type Provider, takesKeys } from "./keys";
import { useKeyScope } from "./scope";
import { useOrder } from "./useOrder";

/** A provider with its keys in the order in which they serve. `provider` is missing where the instance has it off. */
export function ProviderCard({
  id,
  name,
  provider,
  keys,
  onAdd,
}: {
  /** The provider's. */
  id: string;
  name: string;
  provider: Provider | undefined;
  keys: Key[];
  onAdd: () => void;
}) {
  const scope = useKeyScope();
  const order = useOrder(id);
  return (
    <Card>
      <header className="flex items-center gap-4 border-b border-line px-4 py-2.5">
        <div className="min-w-0 flex-1">
          <h2 className="text-sm font-semibold">
            {name} <span className="font-normal text-soft">· {plural(keys.length, "key")}</span>
          </h2>
          {provider && <KeyHint provider={provider} />}
        </div>
        {provider && takesKeys(scope, provider) && (
          <IconButton label={`Add another key for ${name}`} onClick={onAdd}>
            <Plus size={16} />
          </IconButton>
        )}
      </header>
      <ReorderList items={keys} name={(key) => `${name} ${key.label}`} onOrder={order}>
        {(key, handle) => <KeyRow keyView={key} name={name} provider={provider} handle={handle} />}
      </ReorderList>
    </Card>
  );
}
