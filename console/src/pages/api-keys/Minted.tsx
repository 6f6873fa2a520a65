import { Button } from "@/ui/Button";
import { CodeBlock } from "@/ui/Copy";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { Snippets } from "@/ui/Snippets";

/** The one sight of a new API key, with what to do with it. */
export function Minted({ name, apiKey, onClose }: { name: string; apiKey: string; onClose: () => void }) {
  return (
    <Dialog
      open
      onClose={onClose}
      wide
      once
      title={`${name} is minted`}
      description="The key is shown this once. Keep it where you keep passwords."
    >
      <div className="flex flex-col gap-5">
        <CodeBlock wrap name="API key" text={apiKey} />
        <Snippets />
      </div>
      <DialogActions>
        <Button look="primary" onClick={onClose}>
          I have kept it
        </Button>
      </DialogActions>
    </Dialog>
  );
}
