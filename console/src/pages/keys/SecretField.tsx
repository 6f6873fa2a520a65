import { Eye, EyeOff } from "lucide-react";
import { type RefObject, useState } from "react";
import { looksLike } from "@/format/glob";
import { IconButton } from "@/ui/Button";
import { cx } from "@/ui/cx";
import { Field, inputClass } from "@/ui/Field";
import { KeyHint } from "./KeyHint";
import type { Provider } from "./keys";

/**
 * Where a provider key is pasted. The text stays in the element: it never becomes state of the page, so emptying the
 * element is enough to be rid of it.
 */
export function SecretField({
  input,
  provider,
  error,
  onEdit,
}: {
  input: RefObject<HTMLInputElement | null>;
  provider: Provider | undefined;
  error?: string;
  onEdit: () => void;
}) {
  const [shown, setShown] = useState(false);
  const [odd, setOdd] = useState(false);
  const pattern = provider?.key.pattern;
  const check = (text: string) => {
    setOdd(Boolean(pattern && text.trim() !== "" && !looksLike(text.trim(), pattern)));
    onEdit();
  };
  return (
    <Field
      label="Key"
      error={error}
      hint={
        <>
          {odd && (
            <p className="text-warn">This does not look like a key of {provider?.name}. You can try it all the same.</p>
          )}
          {provider && <KeyHint provider={provider} />}
        </>
      }
    >
      {(control) => (
        <div className="relative">
          <input
            {...control}
            ref={input}
            type={shown ? "text" : "password"}
            // Not a password of this site: nothing should offer to keep it.
            autoComplete="off"
            data-1p-ignore
            data-lpignore="true"
            spellCheck={false}
            autoCapitalize="off"
            maxLength={4200}
            onChange={(event) => check(event.target.value)}
            className={cx(inputClass, "pr-10 font-mono")}
          />
          <IconButton
            size="small"
            label={shown ? "Hide the key" : "Show the key"}
            onClick={() => setShown(!shown)}
            className="absolute top-1 right-1"
          >
            {shown ? <EyeOff size={14} /> : <Eye size={14} />}
          </IconButton>
        </div>
      )}
    </Field>
  );
}

/** Takes the key out of the element, without what was pasted around it. */
export function takeKey(input: RefObject<HTMLInputElement | null>): string {
  const element = input.current;
  if (!element) return "";
  const key = element.value.trim();
  element.value = "";
  return key;
}
