import { useInfiniteQuery } from "@tanstack/react-query";
import { ScrollText, X } from "lucide-react";
import { plural } from "@/format/number";
import { useFilters } from "@/shell/filters";
import { Button } from "@/ui/Button";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorState } from "@/ui/ErrorNote";
import { SkeletonRows } from "@/ui/Skeleton";
import { Pager } from "@/ui/Table";
import { AuditTable } from "./AuditTable";
import { ChoiceBar } from "./ChoiceBar";
import { CHOICES, isChosen, isCut, isCutHere, type Names, onlyOf } from "./choice";
import { auditQuery, type Source } from "./queries";

/** The log of a workspace, an account or the instance, with what it is cut down to; the choice stands in the address. */
export function AuditLog({ source, names, nothing }: { source: Source; names: Names; nothing: string }) {
  const [choice, change] = useFilters(CHOICES);
  // What is offered to choose from stays, whatever is chosen.
  const newest = useInfiniteQuery(auditQuery(source)).data?.pages.flatMap(({ data }) => data) ?? [];
  const log = useInfiniteQuery(auditQuery(source, onlyOf(choice)));
  const cut = isCut(choice);
  const all = log.data?.pages.flatMap(({ data }) => data) ?? [];
  const shown = all.filter((row) => isChosen(row, choice, names));
  const clear = () => change(Object.fromEntries(CHOICES.map((name) => [name, undefined])));
  return (
    <>
      <ChoiceBar kind={source.kind} newest={newest} names={names} choice={choice} change={change} />
      {cut && (
        <div className="flex flex-wrap items-center gap-x-4 gap-y-2 text-soft">
          {isCutHere(choice) && (
            <p role="status">
              {plural(shown.length, "entry", "entries")} of the {plural(all.length, "entry", "entries")} that were
              loaded.
              {log.hasNextPage && " Older ones were not looked at; show more to look further."}
            </p>
          )}
          <Button size="small" look="quiet" onClick={clear}>
            <X aria-hidden="true" size={14} /> Show all
          </Button>
        </div>
      )}
      {log.isPending ? (
        <SkeletonRows label="Loading the audit log" />
      ) : log.isLoadingError ? (
        <ErrorState error={log.error} retry={() => log.refetch()} />
      ) : shown.length > 0 ? (
        <AuditTable rows={shown} names={names} accountLinks={source.kind === "instance"} />
      ) : (
        <EmptyState icon={ScrollText} title={cut ? "No such entry" : "Nothing was changed yet"}>
          {!cut
            ? nothing
            : isCutHere(choice)
              ? "None of the loaded entries is as you chose."
              : "No entry is as you chose."}
        </EmptyState>
      )}
      <Pager more={log.hasNextPage} busy={log.isFetchingNextPage} onMore={() => log.fetchNextPage()} />
    </>
  );
}
