import { useQuery } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { useWorkspace } from "@/shell/workspace";
import { buttonClass } from "@/ui/Button";
import { CopyButton } from "@/ui/Copy";
import { ErrorState } from "@/ui/ErrorNote";
import { Card, Section } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { documentQuery } from "../studio/runs";

/** What a run made. A model wrote it: it is shown as text, and nothing in it is followed or run. */
export function Document({ run }: { run: string }) {
  const workspace = useWorkspace();
  const document = useQuery(documentQuery(workspace.id, run));
  const file = (format: string) => `/api/v1/workspaces/${workspace.id}/runs/${run}/document?format=${format}`;
  return (
    <Section
      title="Document"
      actions={
        <>
          <a href={file("markdown")} download className={buttonClass("secondary", "small")}>
            <Download aria-hidden="true" size={14} /> Markdown
          </a>
          <a href={file("html")} download className={buttonClass("secondary", "small")}>
            <Download aria-hidden="true" size={14} /> HTML
          </a>
        </>
      }
    >
      {document.isPending ? (
        <SkeletonRows rows={2} label="Loading the document" />
      ) : document.isLoadingError ? (
        <ErrorState error={document.error} retry={() => document.refetch()} />
      ) : (
        <>
          {document.data.script !== null && document.data.script !== undefined && (
            <Card className="px-4 py-3">
              <div className="mb-2 flex items-center justify-between gap-2">
                <h3 className="text-xs text-soft">Script</h3>
                <CopyButton text={document.data.script} name="script" />
              </div>
              <p className="max-w-prose leading-6 wrap-anywhere whitespace-pre-wrap">{document.data.script}</p>
            </Card>
          )}
          {document.data.images.length > 0 && (
            <div className="grid gap-4 sm:grid-cols-2">
              {document.data.images.map((image) => (
                <img
                  key={image.number}
                  src={image.path}
                  alt={`${image.number} of ${document.data.images.length}, made of the prompt`}
                  className="w-full rounded-lg border border-line bg-sunken"
                />
              ))}
            </div>
          )}
        </>
      )}
    </Section>
  );
}
