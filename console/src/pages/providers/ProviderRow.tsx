import { Link } from "@tanstack/react-router";
import { plural } from "@/format/number";
import { Badge } from "@/ui/Badge";
import { ProviderSwitches } from "./ProviderSwitches";
import type { Provider } from "./queries";

/** One provider with its switches; its name leads to its models and prices. */
export function ProviderRow({ provider }: { provider: Provider }) {
  return (
    <li className="flex flex-wrap items-center gap-x-6 gap-y-3 px-4 py-3">
      <div className="min-w-0 flex-1 basis-64">
        <p className="flex flex-wrap items-center gap-x-2 gap-y-1">
          <Link
            to={`/admin/providers/${provider.id}`}
            className="font-medium text-accent-text underline-offset-2 hover:underline"
          >
            {provider.name}
          </Link>
          <ProviderBadges provider={provider} />
        </p>
        <p className="text-xs break-all text-soft">
          {provider.id} · {plural(provider.platform_keys, "platform key")}
          {provider.models && ` · models: ${provider.models.join(", ")}`}
        </p>
      </div>
      <ProviderSwitches provider={provider} />
    </li>
  );
}

/** How a provider is, where that is not as most are. */
export function ProviderBadges({ provider }: { provider: Provider }) {
  return (
    <>
      {provider.status !== "active" && <Badge tone="warn">{STATUS[provider.status]}</Badge>}
      {!provider.enabled && <Badge tone="bad">Off</Badge>}
      {provider.listed && <Badge title="Switches of its own were set for it">Own switches</Badge>}
    </>
  );
}

const STATUS: Record<Provider["status"], string> = {
  active: "In service",
  staging: "Being prepared",
  suspended: "Out of service",
  withdrawn: "Withdrawn",
};
