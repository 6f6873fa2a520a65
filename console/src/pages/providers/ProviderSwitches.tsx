import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { providersQuery } from "@/api/queries";
import { Button } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { type Option, Select } from "@/ui/Select";
import { Switch } from "@/ui/Switch";
import { toast, toastError } from "@/ui/Toaster";
import { type Provider, switchesQuery } from "./queries";

type Urls = "instance" | "yes" | "no";

const URLS: Option<Urls>[] = [
  { value: "instance", label: "As the instance says" },
  { value: "yes", label: "Allowed" },
  { value: "no", label: "Not allowed" },
];

/** Changes what is switched on for a provider. */
export function usePatchSwitches(provider: Provider) {
  const queries = useQueryClient();
  return async (body: Schemas["SwitchPatch"]) => {
    await ok(api.PATCH("/api/v1/admin/providers/{provider}", { params: { path: { provider: provider.id } }, body }));
    await Promise.all([queries.invalidateQueries(switchesQuery), queries.invalidateQueries(providersQuery)]);
  };
}

/** The switches of one provider, side by side. Switching something off is asked for, since it refuses calls. */
export function ProviderSwitches({ provider }: { provider: Provider }) {
  const [asking, setAsking] = useState<"enabled" | "byok">();
  const patch = usePatchSwitches(provider);
  const change = useMutation({ mutationFn: patch, onError: toastError });
  const set = (name: "enabled" | "byok", on: boolean) => (on ? change.mutate({ [name]: true }) : setAsking(name));
  const off = async () => {
    if (!asking) return;
    await patch({ [asking]: false });
    toast(asking === "byok" ? `Own keys for ${provider.name} rest` : `${provider.name} is switched off`);
  };
  const urls: Urls =
    provider.custom_base_urls === true ? "yes" : provider.custom_base_urls === false ? "no" : "instance";
  return (
    <>
      <Labelled text="Serves">
        <Switch
          label={`${provider.name} serves`}
          checked={provider.enabled}
          disabled={change.isPending}
          onChange={(on) => set("enabled", on)}
        />
      </Labelled>
      <Labelled text="Own keys">
        <Switch
          label={`Own keys for ${provider.name}`}
          checked={provider.byok}
          disabled={change.isPending || !provider.payment_modes.includes("byok")}
          onChange={(on) => set("byok", on)}
        />
      </Labelled>
      <div className="w-60 sm:w-52">
        <p aria-hidden="true" className="mb-1 text-xs text-soft">
          Base URLs of keys
        </p>
        <Select
          label={`Base URLs of own keys for ${provider.name}`}
          value={urls}
          options={URLS}
          disabled={change.isPending}
          onChange={(next) => change.mutate({ custom_base_urls: next === "instance" ? null : next === "yes" })}
        />
      </div>
      <div className="w-16">
        {provider.listed && (
          <Button
            size="small"
            look="quiet"
            disabled={change.isPending}
            aria-label={`Reset the switches of ${provider.name}`}
            title="As for the providers that have no switches of their own"
            onClick={() => change.mutate({ enabled: null, byok: null, custom_base_urls: null, models: null })}
          >
            Reset
          </Button>
        )}
      </div>
      <ConfirmDialog
        open={asking !== undefined}
        onClose={() => setAsking(undefined)}
        title={asking === "byok" ? `Switch own keys for ${provider.name} off?` : `Switch ${provider.name} off?`}
        action="Switch off"
        danger
        onConfirm={off}
      >
        {asking === "byok" ? (
          <p>
            From the next call on, own keys for it rest, and none can be added. Whether calls of workspaces that have
            one are refused or paid by credits is said in the settings (<code>on_byok_disabled</code>). The keys are
            kept and come back with the switch.
          </p>
        ) : (
          <p>
            From the next call on, nothing serves its models here, neither own keys nor platform keys. The keys are kept
            and come back with the switch.
          </p>
        )}
      </ConfirmDialog>
    </>
  );
}

function Labelled({ text, children }: { text: string; children: ReactNode }) {
  return (
    <div className="flex flex-col gap-1">
      <span aria-hidden="true" className="text-xs text-soft">
        {text}
      </span>
      {children}
    </div>
  );
}
