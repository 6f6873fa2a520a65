import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { usePatchSwitches } from "@/pages/providers/ProviderSwitches";
import type { Provider } from "@/pages/providers/queries";
import { ErrorNote } from "@/ui/ErrorNote";
import { Field, inputClass } from "@/ui/Field";
import { Card, Section } from "@/ui/Page";
import { SaveOrCancel } from "@/ui/SaveOrCancel";
import { toast } from "@/ui/Toaster";
import { useUnsaved } from "@/ui/Unsaved";

/** Which of the provider's models may be called at all. */
export function AvailableForm({ provider }: { provider: Provider }) {
  const stored = (provider.models ?? []).join("\n");
  const [draft, setDraft] = useState<string>();
  const patch = usePatchSwitches(provider);
  const save = useMutation({
    mutationFn: (patterns: string[]) => patch({ models: patterns.length > 0 ? patterns : null }),
    onSuccess: () => {
      setDraft(undefined);
      toast(`The available models of ${provider.name} are saved`, "They count from the next call.");
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate((draft ?? stored).split(/\s+/).filter(Boolean));
  };
  const changed = draft !== undefined && draft.trim() !== stored;
  useUnsaved(changed);
  return (
    <Section
      title="Available models"
      lead="Calls of every other model of this provider are refused, whoever would pay."
    >
      <Card className="p-4">
        <form onSubmit={submit} className="flex flex-col gap-4">
          <Field
            label="Names and patterns, one a line"
            hint="The provider's own names; * stands for any text. Empty: as for providers without switches of their own; all, if the settings say nothing else."
          >
            {(control) => (
              <textarea
                {...control}
                rows={3}
                className={`${inputClass} h-auto max-h-60 resize-y py-2 font-mono`}
                placeholder="All"
                spellCheck={false}
                autoComplete="off"
                value={draft ?? stored}
                onChange={(event) => setDraft(event.target.value)}
              />
            )}
          </Field>
          {save.isError && <ErrorNote error={save.error} />}
          {changed && (
            <SaveOrCancel
              busy={save.isPending}
              onCancel={() => {
                save.reset();
                setDraft(undefined);
              }}
            />
          )}
        </form>
      </Card>
    </Section>
  );
}
