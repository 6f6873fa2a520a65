import { useQuery } from "@tanstack/react-query";
import { Waypoints } from "lucide-react";
import { Button } from "@/ui/Button";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorState } from "@/ui/ErrorNote";
import { Card, PageBody } from "@/ui/Page";
import { SearchField } from "@/ui/SearchField";
import { SkeletonRows } from "@/ui/Skeleton";
import { useSearchText } from "@/ui/useSearchText";
import { ProviderRow } from "./ProviderRow";
import { switchesQuery } from "./queries";

/** What is switched on for each provider, for everybody. */
export function Page() {
  const switches = useQuery(switchesQuery);
  const { typed, text, type } = useSearchText("q");
  const wanted = text.toLowerCase();
  const found = switches.data?.filter(({ id, name }) => `${id} ${name}`.toLowerCase().includes(wanted)) ?? [];
  return (
    <PageBody
      title="Providers"
      lead="What is switched on for each provider, for everybody and from the next call on. Keys are kept: what is switched off rests, and comes back with the switch."
    >
      <SearchField label="Find a provider" value={typed} onChange={type} />
      {switches.isPending ? (
        <SkeletonRows label="Loading the providers" />
      ) : switches.isLoadingError ? (
        <ErrorState error={switches.error} retry={() => switches.refetch()} />
      ) : found.length === 0 ? (
        <EmptyState
          icon={Waypoints}
          title="No provider is called like that"
          action={<Button onClick={() => type("")}>Show all</Button>}
        >
          Names and ids are looked through.
        </EmptyState>
      ) : (
        <Card>
          <ul className="divide-y divide-line">
            {found.map((provider) => (
              <ProviderRow key={provider.id} provider={provider} />
            ))}
          </ul>
        </Card>
      )}
    </PageBody>
  );
}
