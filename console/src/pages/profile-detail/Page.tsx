import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { ArrowLeft, CircleCheck } from "lucide-react";
import { useState } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { instanceQuery, providersQuery } from "@/api/queries";
import { plural } from "@/format/number";
import { previewQuery, profilesQuery } from "@/pages/profiles/queries";
import { Button } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorState } from "@/ui/ErrorNote";
import { Note } from "@/ui/Note";
import { PageBody, Section } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { Cell, Table } from "@/ui/Table";
import { toast } from "@/ui/Toaster";
import { placeOf, valueText } from "./values";

type Change = Schemas["ChangeView"];

/** One profile: what it would change here, and the way to apply it. */
export function Page() {
  const { profile: name = "" } = useParams({ strict: false }) as { profile?: string };
  const queries = useQueryClient();
  const preview = useQuery(previewQuery(name));
  const description = useQuery(profilesQuery).data?.find((profile) => profile.name === name)?.description;
  const [asking, setAsking] = useState(false);
  const changes = preview.data?.changes ?? [];
  const apply = async () => {
    const params = { path: { name } };
    const done = await ok(api.POST("/api/v1/admin/profiles/{name}", { params, body: {} }));
    // Settings, plans and switches of providers are all of the instance.
    await Promise.all([
      queries.invalidateQueries({ queryKey: ["admin"] }),
      queries.invalidateQueries(instanceQuery),
      queries.invalidateQueries(providersQuery),
    ]);
    toast(`The profile ${name} is applied`, `${plural(done.changes.length, "value")} changed.`);
  };
  return (
    <PageBody
      title={`Profile: ${name}`}
      lead={
        <>
          {description && <span className="block">{description}</span>}
          <Link
            to="/admin/profiles"
            className="mt-1 inline-flex items-center gap-1 text-accent-text underline underline-offset-2"
          >
            <ArrowLeft aria-hidden="true" size={14} /> All profiles
          </Link>
        </>
      }
      actions={
        changes.length > 0 && (
          <Button look="primary" onClick={() => setAsking(true)}>
            Apply
          </Button>
        )
      }
    >
      {preview.isPending ? (
        <SkeletonRows label="Loading what would change" />
      ) : preview.isLoadingError ? (
        <ErrorState error={preview.error} retry={() => preview.refetch()} />
      ) : (
        <>
          {preview.data.requires
            .filter(({ wanted, actual }) => wanted !== actual)
            .map(({ option, wanted, actual }) => (
              <Note key={option} tone="warn">
                The profile relies on the server's option{" "}
                <code>
                  {option} = "{wanted}"
                </code>
                , and here it is <code>"{actual}"</code>. Applying the profile does not change it: set it in the
                server's configuration.
              </Note>
            ))}
          {changes.length === 0 ? (
            <EmptyState icon={CircleCheck} title="In force">
              Every setting and plan that this profile speaks of is as it says.
            </EmptyState>
          ) : (
            <Section title={`What would change: ${plural(changes.length, "value")}`}>
              <Changes changes={changes} />
            </Section>
          )}
          <p className="max-w-2xl text-xs text-soft">
            A profile leaves prices, tiers, mappings, the gateway and credit ratios alone, as well as plans that it does
            not know, workspaces and stored keys. Accounts keep the terms that they have until they are given their plan
            again.
          </p>
        </>
      )}
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title={`Apply the profile ${name}?`}
        action="Apply"
        onConfirm={apply}
      >
        <p>
          {plural(changes.length, "value")} of the settings and plans change in one step, for everybody and from the
          next call on, also what was set by hand. Keys are kept: one that may not serve any more rests.
        </p>
        <p>
          To go back, set the values that are listed as they are now by hand, or apply the profile <code>default</code>,
          which leads to what a new instance has.
        </p>
      </ConfirmDialog>
    </PageBody>
  );
}

function Changes({ changes }: { changes: Change[] }) {
  return (
    <Table label="What would change" head={["Value", "Now", "Then"]}>
      {changes.map((change) => {
        const { of, name } = placeOf(change.path);
        return (
          <tr key={change.path}>
            <Cell className="min-w-32">
              <span className="block text-xs text-soft">{of}</span>
              <code className="font-mono text-xs break-words">{name}</code>
            </Cell>
            <Cell className="break-words">
              <Value value={change.from} />
            </Cell>
            <Cell className="font-medium break-words">
              <Value value={change.to} />
            </Cell>
          </tr>
        );
      })}
    </Table>
  );
}

function Value({ value }: { value: unknown }) {
  const text = valueText(value);
  return text === undefined ? <span className="font-normal text-soft">not set</span> : text;
}
