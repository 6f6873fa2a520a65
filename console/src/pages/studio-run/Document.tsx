import { useMutation, useQuery } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { useState } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { useWorkspace } from "@/shell/workspace";
import { Button } from "@/ui/Button";
import { CopyButton } from "@/ui/Copy";
import { download } from "@/ui/download";
import { ErrorState } from "@/ui/ErrorNote";
import { Markdown } from "@/ui/Markdown";
import { Card, Section } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { toastError } from "@/ui/Toaster";
import { documentQuery, fileName } from "../studio/runs";

/** What a run made. A model wrote it: nothing in it is followed or run. */
export function Document({ run }: { run: string }) {
  const workspace = useWorkspace();
  const document = useQuery(documentQuery(workspace.id, run));
  const title = document.data?.title ?? "";
  return (
    <Section
      title="Document"
      actions={
        <>
          <ExportButton run={run} title={title} format="markdown" />
          <ExportButton run={run} title={title} format="html" />
        </>
      }
    >
      {document.isPending ? (
        <SkeletonRows rows={2} label="Loading the document" />
      ) : document.isLoadingError ? (
        <ErrorState error={document.error} retry={() => document.refetch()} />
      ) : (
        <>
          {typeof document.data.script === "string" && <Script text={document.data.script} />}
          {document.data.images.length > 0 && (
            <div className="grid items-start gap-4 sm:grid-cols-2">
              {document.data.images.map((image) => (
                <Picture key={image.number} image={image} of={document.data.images.length} />
              ))}
            </div>
          )}
        </>
      )}
    </Section>
  );
}

function Script({ text }: { text: string }) {
  const [source, setSource] = useState(false);
  return (
    <Card className="px-4 py-3 sm:px-5">
      <div className="mb-3 flex flex-wrap items-center justify-between gap-2">
        <h3 className="text-xs text-soft">Script, written by a model</h3>
        <div className="flex gap-2">
          <Button size="small" look="quiet" onClick={() => setSource(!source)}>
            {source ? "View rendered" : "View source"}
          </Button>
          <CopyButton text={text} name="script" />
        </div>
      </div>
      {source ? (
        <pre className="max-w-prose font-mono text-xs leading-5 wrap-anywhere whitespace-pre-wrap">{text}</pre>
      ) : (
        <Markdown text={text} className="max-w-prose" />
      )}
    </Card>
  );
}

function Picture({ image, of }: { image: Schemas["DocumentView"]["images"][number]; of: number }) {
  const [failed, setFailed] = useState(false);
  const name = of === 1 ? "The picture" : `Picture ${image.number} of ${of}`;
  if (failed) {
    return (
      <p role="alert" className="rounded-lg border border-line px-4 py-10 text-center text-soft">
        {name} could not be loaded. Reload the page to try again.
      </p>
    );
  }
  return (
    <a
      href={image.path}
      target="_blank"
      rel="noreferrer"
      title="Open it in its full size, in a new tab"
      className="block overflow-hidden rounded-lg border border-line bg-sunken"
    >
      <img
        src={image.path}
        alt={`${name}, made of the prompt`}
        onError={() => setFailed(true)}
        className="min-h-24 w-full object-contain"
      />
    </a>
  );
}

const FORMATS = {
  markdown: { label: "Markdown", ends: "md" },
  html: { label: "HTML", ends: "html" },
};

/** Saves the document as one file, with its pictures in it. Fetched by the page, so that a refusal is shown and not saved. */
function ExportButton({ run, title, format }: { run: string; title: string; format: keyof typeof FORMATS }) {
  const workspace = useWorkspace();
  const { label, ends } = FORMATS[format];
  const save = useMutation({
    mutationFn: async () => {
      const params = { path: { workspace_id: workspace.id, run_id: run }, query: { format } };
      const url = "/api/v1/workspaces/{workspace_id}/runs/{run_id}/document";
      const file = await ok(api.GET(url, { params, parseAs: "blob" }));
      download(file as unknown as Blob, `${fileName(title) || run}.${ends}`);
    },
    onError: toastError,
  });
  return (
    <Button size="small" busy={save.isPending} aria-label={`Save as ${label}`} onClick={() => save.mutate()}>
      <Download aria-hidden="true" size={14} /> {label}
    </Button>
  );
}
