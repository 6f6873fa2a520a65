import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChevronRight } from "lucide-react";
import type { Schemas } from "@/api/client";
import { plural } from "@/format/number";
import { Badge } from "@/ui/Badge";
import { ErrorState } from "@/ui/ErrorNote";
import { Card, PageBody } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { previewQuery, profilesQuery } from "./queries";

/** The bundles of settings and plans that can be applied to the instance. */
export function Page() {
  const profiles = useQuery(profilesQuery);
  return (
    <PageBody
      title="Profiles"
      lead="A profile is a bundle of settings and plans with which the instance behaves like a product that people know. Open one to see what it would change; nothing changes before you apply it."
    >
      {profiles.isPending ? (
        <SkeletonRows label="Loading the profiles" rows={6} />
      ) : profiles.isLoadingError ? (
        <ErrorState error={profiles.error} retry={() => profiles.refetch()} />
      ) : (
        <Card>
          <ul className="divide-y divide-line">
            {profiles.data.map((profile) => (
              <ProfileRow key={profile.name} profile={profile} />
            ))}
          </ul>
        </Card>
      )}
    </PageBody>
  );
}

function ProfileRow({ profile: { name, description } }: { profile: Schemas["ProfileView"] }) {
  const changes = useQuery(previewQuery(name)).data?.changes.length;
  return (
    <li>
      <Link
        to={`/admin/profiles/${name}`}
        className="flex items-center gap-4 px-4 py-3 text-text no-underline hover:bg-hover"
      >
        <span className="min-w-0 flex-1">
          <span className="flex flex-wrap items-center gap-x-2 gap-y-1">
            <span className="font-medium">{name}</span>
            {changes === 0 && <Badge tone="ok">In force</Badge>}
          </span>
          <span className="block text-soft">{description}</span>
        </span>
        <span className="text-xs whitespace-nowrap text-soft tabular-nums">
          {changes !== undefined && changes > 0 && plural(changes, "change")}
        </span>
        <ChevronRight aria-hidden="true" size={16} className="shrink-0 text-soft" />
      </Link>
    </li>
  );
}
