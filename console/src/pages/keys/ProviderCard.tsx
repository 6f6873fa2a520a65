import { useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { plural } from "@/format/number";
import { IconButton } from "@/ui/Button";
import { Card } from "@/ui/Page";
import { ReorderList } from "@/ui/Reorder";
import { toastError } from "@/ui/Toaster";
import { KeyHint } from "./KeyHint";
import { KeyRow } from "./KeyRow";
import { type Key, orderKeys, type Provider, takesKeys } from "./keys";
import { useKeyScope } from "./scope";

/** A provider with its keys in the order in which they serve. `provider` is missing where the instance has it off. */
export function ProviderCard({
  name,
  provider,
  keys,
  onAdd,
}: {
  name: string;
  provider: Provider | undefined;
  keys: Key[];
  onAdd: () => void;
}) {
  const queries = useQueryClient();
  const scope = useKeyScope();
  const order = (ids: string[]) => orderKeys(queries, scope, ids).catch(toastError);
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
