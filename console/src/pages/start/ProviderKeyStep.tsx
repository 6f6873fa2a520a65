import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Schemas } from "@/api/client";
import { AddKeyDialog } from "@/pages/keys/dialogs";
import { useWorkspace } from "@/shell/workspace";
import { Button, buttonClass } from "@/ui/Button";

/** A key of one's own, or credits of the instance: whatever pays for the calls. */
export function ProviderKeyStep({
  mode,
  served,
  mayAdd,
  providers,
}: {
  mode: Schemas["PolicyView"]["mode"] | undefined;
  served: string[];
  mayAdd: boolean;
  providers: Schemas["ProviderView"][];
}) {
  const workspace = useWorkspace();
  const [adding, setAdding] = useState(false);
  const names = served.map((id) => providers.find((provider) => provider.id === id)?.name ?? id);
  return (
    <div className="flex flex-col items-start gap-3">
      <p className="max-w-2xl text-soft">
        {served.length > 0
          ? `This workspace has its own keys for ${names.join(", ")}.`
          : mode === "managed"
            ? "Credits pay, and keys of the instance serve: nothing is to be done here."
            : mode === "auto"
              ? "Credits pay as long as there is no key of your own. With one, its provider bills you instead."
              : "Paste a key that a provider gave you. It is sealed in your browser, tried at the provider, and never shown again."}
      </p>
      {mayAdd && mode !== "managed" && (
        <div className="flex flex-wrap gap-2">
          <Button look={served.length > 0 ? "secondary" : "primary"} onClick={() => setAdding(true)}>
            Add a provider key
          </Button>
          {served.length > 0 && (
            <Link to={`/w/${workspace.id}/keys`} className={buttonClass("quiet")}>
              See all keys
            </Link>
          )}
        </div>
      )}
      {!mayAdd && served.length === 0 && mode === "byok" && <p>Ask an admin of this workspace to add one.</p>}
      {adding && <AddKeyDialog provider={undefined} providers={providers} keys={[]} onClose={() => setAdding(false)} />}
    </div>
  );
}
