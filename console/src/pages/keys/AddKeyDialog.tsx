import { type FormEvent, useRef, useState } from "react";
import { keyFault } from "@/seal";
import { canonicalBaseUrl } from "@/sealing";
import { Button } from "@/ui/Button";
import { Combobox } from "@/ui/Combobox";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { ErrorNote } from "@/ui/ErrorNote";
import { Field, focusFault, TextField } from "@/ui/Field";
import { Note } from "@/ui/Note";
import { baseUrlFault, freeLabel, type Key, LABEL_RULE, labelFault, type Provider, takesKeys } from "./keys";
import { Progress } from "./progress";
import { SealingNote } from "./SealingNote";
import { SecretField, takeKey } from "./SecretField";
import { Stored } from "./Stored";
import { useKeyScope } from "./scope";
import { useSubmitKey } from "./useSubmitKey";

/** Takes a key in, seals it, and says what the provider made of it. */
export function AddKeyDialog({
  provider: given,
  providers,
  keys,
  onClose,
}: {
  provider: string | undefined;
  providers: Provider[];
  keys: Key[];
  onClose: () => void;
}) {
  const scope = useKeyScope();
  const [id, setId] = useState(given ?? null);
  // Until somebody writes one: a label of another key would replace that key.
  const [written, setLabel] = useState<string>();
  const [baseUrl, setBaseUrl] = useState("");
  const [faults, setFaults] = useState<Faults>({});
  const input = useRef<HTMLInputElement>(null);
  const submission = useSubmitKey();
  const label = written ?? freeLabel(keys, id);
  const provider = providers.find((provider) => provider.id === id);
  const replaced = keys.find((key) => key.provider === id && key.label === label.trim());

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const key = input.current?.value.trim() ?? "";
    // What was typed for another provider, before this one was chosen, is not there to be seen.
    const typedUrl = provider?.custom_base_urls ? baseUrl.trim() : "";
    const found = faultsOf(provider, key, label, typedUrl);
    setFaults(found);
    if (!provider || Object.values(found).some(Boolean)) {
      focusFault(event.currentTarget);
      return;
    }
    const custom = typedUrl === "" ? undefined : canonicalBaseUrl(typedUrl);
    // Out of the page before anything is sent, whatever comes of it.
    takeKey(input);
    submission.mutate(() => ({
      key,
      provider: provider.id,
      baseUrl: custom ?? provider.base_url,
      submit: (sealed) =>
        scope.create({ provider: provider.id, label: label.trim(), ...(custom ? { base_url: custom } : {}) }, sealed),
    }));
  };

  if (submission.data && provider) {
    return (
      <Dialog open onClose={onClose} title="Key stored">
        <Stored stored={submission.data} provider={provider.name} onClose={onClose} />
      </Dialog>
    );
  }
  const choices = providers
    .filter((provider) => takesKeys(scope, provider))
    .map(({ id, name, key }) => ({ value: id, label: name, detail: key.pattern ?? undefined }));
  return (
    <Dialog
      open
      busy={submission.isPending}
      onClose={onClose}
      title={given && provider ? `Add a key for ${provider.name}` : "Add a key"}
    >
      <form onSubmit={submit} noValidate className="flex flex-col gap-4">
        {!given && (
          <Field label="Provider" error={faults.provider}>
            {(control) => (
              <Combobox
                control={control}
                value={id}
                onChange={(next) => {
                  setFaults({ ...faults, provider: undefined });
                  setId(next);
                }}
                options={choices}
                placeholder="Choose or type"
                empty="No provider is called like that."
              />
            )}
          </Field>
        )}
        <SecretField
          input={input}
          provider={provider}
          error={faults.key}
          onEdit={() => setFaults({ ...faults, key: undefined })}
        />
        <TextField
          label="Label"
          hint={`Your name for it, shown beside every call that it serves.${faults.label ? "" : ` ${LABEL_RULE}.`}`}
          value={label}
          required
          maxLength={64}
          autoComplete="off"
          spellCheck={false}
          error={faults.label}
          onChange={(event) => {
            setFaults({ ...faults, label: undefined });
            setLabel(event.target.value);
          }}
        />
        {replaced && (
          <Note tone="warn">
            There is a key with this label ({replaced.mask}). The new one takes its place, and that one is gone; choose
            another label to keep both.
          </Note>
        )}
        {provider?.custom_base_urls && (
          <TextField
            label="Base URL"
            optional
            hint="Where to send it, if not to the provider itself. The key is bound to this place."
            placeholder={provider.base_url}
            error={faults.baseUrl}
            type="url"
            value={baseUrl}
            autoComplete="off"
            onChange={(event) => {
              setFaults({ ...faults, baseUrl: undefined });
              setBaseUrl(event.target.value);
            }}
          />
        )}
        <SealingNote />
        {submission.step && provider && <Progress step={submission.step} provider={provider.name} />}
        {submission.isError && (
          <div className="flex flex-col gap-2">
            <ErrorNote error={submission.error} title="The key was not stored" />
            <p className="text-xs text-soft">The field was emptied when you submitted. Paste the key again to retry.</p>
          </div>
        )}
        <DialogActions>
          <Button onClick={onClose} disabled={submission.isPending}>
            Cancel
          </Button>
          <Button type="submit" look="primary" busy={submission.isPending}>
            {replaced ? "Seal and replace" : "Seal and add"}
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}

interface Faults {
  provider?: string;
  key?: string;
  label?: string;
  baseUrl?: string;
}

/** What is wrong before anything is sent: a refusal comes when the key has left the field, and asks to paste it again. */
function faultsOf(provider: Provider | undefined, key: string, label: string, baseUrl: string): Faults {
  return {
    provider: provider ? undefined : "Choose a provider.",
    key: keyFault(key),
    label: labelFault(label.trim()),
    baseUrl: baseUrl === "" ? undefined : baseUrlFault(baseUrl),
  };
}
