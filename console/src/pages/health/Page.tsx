import { useQuery } from "@tanstack/react-query";
import { CircleCheck } from "lucide-react";
import { fullTime } from "@/format/time";
import { platformKeysQuery } from "@/pages/keys/scope";
import { switchesQuery } from "@/pages/providers/queries";
import { ErrorNote, ErrorState } from "@/ui/ErrorNote";
import { Note } from "@/ui/Note";
import { PageBody, Section } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { concernsOf } from "./concerns";
import { KeyTable } from "./KeyTable";
import { ProcessFacts, Traffic } from "./Process";
import { ProviderTable } from "./ProviderTable";
import { type Health, healthQuery, recentQuery } from "./queries";

/** How the instance fares: what to look at, the process, its traffic, keys and providers. Asked for anew by itself. */
export function Page() {
  const health = useQuery(healthQuery);
  return (
    <PageBody
      title="Health"
      lead="How the process that answers you fares, and what it knows of the instance. Where several processes share a database, each answers for itself. The page keeps itself up to date."
    >
      {health.isPending ? (
        <SkeletonRows label="Loading the health" />
      ) : health.isLoadingError ? (
        <ErrorState error={health.error} retry={() => health.refetch()} />
      ) : (
        <>
          {health.isError && (
            <ErrorNote
              error={health.error}
              title={`This is how it was on ${fullTime(new Date(health.dataUpdatedAt).toISOString())}`}
            />
          )}
          <All health={health.data} />
        </>
      )}
    </PageBody>
  );
}

function All({ health }: { health: Health }) {
  const keys = useQuery(platformKeysQuery);
  const providers = useQuery(switchesQuery);
  const recent = useQuery(recentQuery);
  const concerns = concernsOf(health, keys.data ?? []);
  return (
    <>
      {concerns.length === 0 ? (
        <p role="status" className="flex items-center gap-2.5 rounded-md bg-ok-soft px-3 py-2.5">
          <CircleCheck aria-hidden="true" size={16} className="shrink-0 text-ok" />
          Nothing needs you. The database answers, and there is room for calls.
        </p>
      ) : (
        <div role="status" className="flex flex-col gap-2">
          {concerns.map(({ tone, text }) => (
            <Note key={text} tone={tone}>
              {text}
            </Note>
          ))}
        </div>
      )}
      <Traffic health={health} />
      <Section title="Process">
        <ProcessFacts health={health} />
      </Section>
      <Section
        title="Platform keys"
        lead="How the tries with each key ended in the last 24 hours, those that fail first."
      >
        {keys.isPending ? (
          <SkeletonRows rows={2} label="Loading the platform keys" />
        ) : keys.isLoadingError ? (
          <ErrorState error={keys.error} retry={() => keys.refetch()} />
        ) : (
          <KeyTable keys={keys.data} providers={providers.data ?? []} />
        )}
      </Section>
      <Section
        title="Providers"
        lead="Those with platform keys or with calls today or yesterday (UTC days), own keys and credits together."
      >
        {providers.isPending || recent.isPending ? (
          <SkeletonRows rows={2} label="Loading the providers" />
        ) : providers.isLoadingError || recent.isLoadingError ? (
          <ErrorState
            error={providers.error ?? recent.error}
            retry={() => {
              providers.refetch();
              recent.refetch();
            }}
          />
        ) : (
          <ProviderTable providers={providers.data} sums={recent.data} />
        )}
      </Section>
    </>
  );
}
