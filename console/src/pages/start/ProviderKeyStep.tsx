import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Mode } from "@/pages/ai-config/policy";
import { AddKeyDialog } from "@/pages/keys/dialogs";
import { type Entries, isKey, type Provider } from "@/pages/keys/keys";
import { NEW } from "@/shell/newDialog";
import { isAtLeast, useMe, useWorkspace } from "@/shell/workspace";
import { Button, buttonClass } from "@/ui/Button";
import type { Serving } from "./serving";

/** A key of one's own, or credits and a key of the instance: whatever pays for the calls. */
export function ProviderKeyStep({
  mode,
  serving,
  instanceServes,
  creditsLeft,
  keys,
  providers,
}: {
  /** The one that counts; `null`: the instance offers none that could. */
  mode: Mode | null;
  serving: Serving;
  /** Whether the instance has a key that serves where credits pay. */
  instanceServes: boolean;
  /** Whether the account has credits. */
  creditsLeft: boolean;
  keys: Entries;
  providers: Provider[];
}) {
  const workspace = useWorkspace();
  const isInstanceAdmin = useMe().user.instance_admin;
  const [adding, setAdding] = useState(false);
  const mayAdd = isAtLeast(workspace.role, "admin");
  const takesOwn = mode === "byok" || mode === "auto";
  const adds = mayAdd && takesOwn;
  const names = serving.own.map((id) => providers.find((provider) => provider.id === id)?.name ?? id);
  const addsPlatformKey = isInstanceAdmin && !instanceServes && mode !== null;
  /** The instance has a key, and the mode keeps credits from paying for it: what is left is to change the mode. */
  const modeIsInTheWay = mode === "byok" && instanceServes && !serving.any;
  return (
    <div className="flex flex-col items-start gap-3">
      <p className="max-w-2xl text-soft">
        {state(mode, serving, names, { instanceServes, creditsLeft }, keys.length > 0)}
      </p>
      {!serving.any && !adds && !addsPlatformKey && (
        <p className="max-w-2xl">{advice(mode, mayAdd, instanceServes && !creditsLeft)}</p>
      )}
      <div className="flex flex-wrap gap-2">
        {adds && (
          <Button look={serving.any ? "secondary" : "primary"} onClick={() => setAdding(true)}>
            Add a provider key
          </Button>
        )}
        {addsPlatformKey && (
          <Link
            to="/admin/platform-keys"
            search={NEW as never}
            className={buttonClass(serving.any || adds ? "secondary" : "primary")}
          >
            Add a platform key
          </Link>
        )}
        {keys.length > 0 && (
          <Link to={`/w/${workspace.id}/keys`} className={buttonClass("quiet")}>
            See all keys
          </Link>
        )}
        {(!takesOwn || modeIsInTheWay) && mayAdd && !serving.any && (
          <Link
            to={`/w/${workspace.id}/ai-config`}
            className={buttonClass(modeIsInTheWay ? "secondary" : mode === null ? "primary" : "quiet")}
          >
            {modeIsInTheWay ? "Let credits pay" : "AI config"}
          </Link>
        )}
      </div>
      {modeIsInTheWay && (
        <p className="max-w-2xl text-xs text-soft">
          The instance has a key with which credits can pay. In this workspace own keys alone do:{" "}
          {mayAdd ? "let credits pay by another mode under AI config" : "an admin of it can choose another mode"}, or
          bring a key of your own.
        </p>
      )}
      {addsPlatformKey && mode === "byok" && (
        <p className="max-w-2xl text-xs text-soft">
          A platform key serves every workspace in which credits pay. Here own keys alone do, until the mode is changed
          under AI config.
        </p>
      )}
      {adding && (
        <AddKeyDialog
          provider={undefined}
          providers={providers}
          keys={keys.filter(isKey)}
          onClose={() => setAdding(false)}
        />
      )}
    </div>
  );
}

const PASTE =
  "Paste a key that a provider gave you. It is sealed in your browser, tried at the provider, and never shown again.";
const NO_CREDITS = "Credits would pay, and the account has none left.";
const NO_PLATFORM_KEY = "Credits would pay, and the instance has no key that serves.";

/** What to do where nothing serves and nothing can be added here. */
function advice(mode: Mode | null, mayChange: boolean, lacksCredits: boolean): string {
  if (mode === null)
    return mayChange ? "Choose another mode under AI config." : "An admin of this workspace can choose another one.";
  if (mode !== "managed") return "Ask an admin of this workspace to add one.";
  const wanted = lacksCredits ? "credits" : "one";
  if (!mayChange) return `Ask an admin of the instance for ${wanted}.`;
  return `Ask an admin of the instance for ${wanted}, or let own keys serve under AI config.`;
}

function state(
  mode: Mode | null,
  serving: Serving,
  names: string[],
  { instanceServes, creditsLeft }: { instanceServes: boolean; creditsLeft: boolean },
  isAnyStored: boolean,
): string {
  if (mode === null) return "The instance does not offer the mode that this workspace is in, so every call is refused.";
  if (names.length > 0) return `Own keys serve models of ${names.join(", ")}.`;
  if (serving.credits) {
    return mode === "managed"
      ? "Credits pay, and keys of the instance serve: nothing is to be done here."
      : "Credits pay as long as no key of your own can serve. With one, its provider bills you instead.";
  }
  if (serving.any) return "An own key serves.";
  if (mode === "managed" && instanceServes && !creditsLeft) return NO_CREDITS;
  if (mode === "managed")
    return instanceServes ? "Credits would pay, and a rule of the workspace forbids them." : NO_PLATFORM_KEY;
  if (isAnyStored)
    return "There are provider keys, and none can serve: each is switched off, or a rule stands in its way.";
  if (mode === "auto" && instanceServes && !creditsLeft) return `${PASTE} Without one: ${NO_CREDITS.toLowerCase()}`;
  return mode === "auto" && !instanceServes ? `${PASTE} Without one: ${NO_PLATFORM_KEY.toLowerCase()}` : PASTE;
}
