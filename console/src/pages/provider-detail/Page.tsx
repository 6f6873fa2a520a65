import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { ArrowLeft, ChartNoAxesColumn, Waypoints } from "lucide-react";
import { settingsQuery } from "@/api/admin";
import type { Schemas } from "@/api/client";
import { plural } from "@/format/number";
import { ProviderBadges } from "@/pages/providers/ProviderRow";
import { ProviderSwitches } from "@/pages/providers/ProviderSwitches";
import { type Provider, switchesQuery } from "@/pages/providers/queries";
import { buttonClass } from "@/ui/Button";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorState } from "@/ui/ErrorNote";
import { Fact, Facts } from "@/ui/Facts";
import { Card, PageBody, Section } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { AvailableForm } from "./AvailableForm";
import { ModelTable } from "./ModelTable";
import { Prices } from "./Prices";
import { modelsQuery } from "./queries";

/** One provider: what is switched on for it, its models, and what they cost here. */
export function Page() {
  const { provider: id = "" } = useParams({ strict: false }) as { provider?: string };
  const switches = useQuery(switchesQuery);
  const settings = useQuery(settingsQuery);
  const provider = switches.data?.find((provider) => provider.id === id);
  const error = (switches.isLoadingError && switches.error) || (settings.isLoadingError && settings.error);
  return (
    <PageBody
      title={provider?.name ?? "Provider"}
      lead={
        <Link
          to="/admin/providers"
          className="inline-flex items-center gap-1 text-accent-text underline-offset-2 hover:underline"
        >
          <ArrowLeft aria-hidden="true" size={14} /> All providers
        </Link>
      }
      actions={
        provider && (
          <Link to="/admin/usage" search={{ provider: provider.id, by: "model" } as never} className={buttonClass()}>
            <ChartNoAxesColumn aria-hidden="true" size={16} /> Usage
          </Link>
        )
      }
    >
      {error ? (
        <ErrorState
          error={error}
          retry={() => {
            switches.refetch();
            settings.refetch();
          }}
        />
      ) : !switches.data || !settings.data ? (
        <SkeletonRows label="Loading the provider" />
      ) : provider ? (
        <Detail key={provider.id} provider={provider} settings={settings.data} />
      ) : (
        <EmptyState icon={Waypoints} title="There is no such provider">
          No provider of this instance has the id {id}.
        </EmptyState>
      )}
    </PageBody>
  );
}

const KINDS: Record<Provider["kind"], string> = {
  first_party: "Makes the models that it serves",
  cloud: "A cloud that serves others' models",
  third_party: "Serves open models",
  gateway: "Passes requests on to other providers",
  search: "Searches the web; serves no models",
};

const PAYMENTS = { byok: "Own keys", managed: "Credits" };

function Detail({ provider, settings }: { provider: Provider; settings: Schemas["SettingsView"] }) {
  const listed = useQuery(modelsQuery(provider.id));
  return (
    <>
      <Section
        title="Switches"
        lead="For everybody and from the next call on. Keys are kept: what is switched off rests, and comes back with the switch."
      >
        <Card className="flex flex-wrap items-center gap-x-8 gap-y-3 px-4 py-3">
          <ProviderSwitches provider={provider} />
        </Card>
      </Section>
      <Facts>
        <Fact name="State">
          {provider.enabled && provider.status === "active" && "In service"}
          <ProviderBadges provider={provider} />
        </Fact>
        <Fact name="Kind">{KINDS[provider.kind]}</Fact>
        <Fact name="Called at">
          <code className="font-mono text-xs break-all">{provider.base_url}</code>
        </Fact>
        <Fact name="Calls may be paid by">{provider.payment_modes.map((mode) => PAYMENTS[mode]).join(", ")}</Fact>
        <Fact name="Platform keys">
          <Link to="/admin/platform-keys" className="text-accent-text underline-offset-2 hover:underline">
            {plural(provider.platform_keys, "key")}
          </Link>
        </Fact>
        <Fact name="Id">
          <code className="font-mono text-xs">{provider.id}</code>
        </Fact>
      </Facts>
      {provider.kind !== "search" && (
        <>
          <Prices provider={provider} overrides={settings.prices} />
          <AvailableForm provider={provider} />
          {listed.isPending ? (
            <SkeletonRows label="Loading the models" />
          ) : listed.isLoadingError ? (
            <ErrorState error={listed.error} retry={() => listed.refetch()} />
          ) : (
            <ModelTable provider={provider} models={listed.data} settings={settings} />
          )}
        </>
      )}
    </>
  );
}
