import { CodeBlock } from "@/ui/Copy";

/** The link of a run, in the one answer that has it. */
export function SharedLink({ path }: { path: string }) {
  return (
    <>
      <CodeBlock wrap name="Link" text={`${window.location.origin}${path}`} />
      <p className="mt-3 text-xs text-soft">
        Whoever has it reads the document without logging in, once the run has succeeded. Changing who may read the run
        ends the link.
      </p>
    </>
  );
}
