import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { STATUS } from "@/pages/ai-config/Now";
import { Badge } from "@/ui/Badge";
import { ErrorState } from "@/ui/ErrorNote";
import { Note } from "@/ui/Note";
import { Card, PageBody, Section } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { Time } from "@/ui/Time";
import { DefaultsForm } from "./DefaultsForm";
import { type Defaults, defaultsQuery } from "./queries";

/** What new workspaces of one's account start with. */
export function Page() {
  const defaults = useQuery(defaultsQuery);
  return (
    <PageBody
      title="Defaults"
      lead="What workspaces start with that you make from now on. Those that are there stay as they are; each has its own AI config and Models pages."
    >
      {defaults.isPending ? (
        <SkeletonRows label="Loading the defaults" />
      ) : defaults.isLoadingError ? (
        <ErrorState error={defaults.error} retry={() => defaults.refetch()} />
      ) : (
        <>
          <Meets defaults={defaults.data} />
          <Section title="New workspaces start with">
            <DefaultsForm stored={defaults.data} />
          </Section>
          <Note>
            One key for all of your workspaces is a{" "}
            <Link to="/account/keys" className="text-accent-text underline underline-offset-2">
              personal key
            </Link>
            : it is sealed in your browser and serves new workspaces, too.
          </Note>
        </>
      )}
    </PageBody>
  );
}

const MEANING: Record<Defaults["status"], string> = {
  managed_active: "Keys of the instance would serve, and your credits would pay.",
  byok_active: "An own key would serve, and its provider would bill its owner.",
  invalid_missing_key:
    "Its calls would be refused until somebody adds an own key: one would have to serve, and none can.",
};

/** What a call in a workspace that is made now would meet. */
function Meets({ defaults: { status, updated_at } }: { defaults: Defaults }) {
  return (
    <Card className="p-4">
      <p className="flex flex-wrap items-center gap-2">
        <Badge tone={STATUS[status].tone}>{STATUS[status].word}</Badge>
        <span className="text-xs text-soft">in a workspace that is made now</span>
      </p>
      <p className="mt-2">{MEANING[status]}</p>
      <p className="mt-1 text-xs text-soft">
        Changed <Time at={updated_at} />
      </p>
    </Card>
  );
}
