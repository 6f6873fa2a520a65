import { ArrowRight, Plus, Trash2 } from "lucide-react";
import { type FormEvent, useRef, useState } from "react";
import { type Policy, usePatchPolicy } from "@/pages/ai-config/policy";
import { Button, IconButton } from "@/ui/Button";
import { ErrorNote } from "@/ui/ErrorNote";
import { inputClass } from "@/ui/Field";
import { Card, Section } from "@/ui/Page";
import { SaveOrCancel } from "@/ui/SaveOrCancel";
import { useUnsaved } from "@/ui/Unsaved";

interface Line {
  id: number;
  pattern: string;
  to: string;
}

/** Names of models that stand for others. */
export function ModelMappings({ policy, mayWrite }: { policy: Policy; mayWrite: boolean }) {
  const [editing, setEditing] = useState(false);
  const patch = usePatchPolicy("Mapping saved", policy, editing);
  return (
    <Mappings
      title="Model mapping"
      lead="A call for a name that fits goes to another model instead; usage and price are those of that model. The first that fits counts."
      what="model mapping"
      to="Model"
      patternHint="gpt-3.5*"
      toHint="openai/gpt-5.4-nano"
      none="None. Names of models stand for themselves."
      stored={policy.model_mappings.map(({ pattern, model }) => [pattern, model])}
      faultOf={(to) => (to === "" ? "A model is missing." : undefined)}
      mayWrite={mayWrite}
      patch={patch}
      onEditing={setEditing}
      onSave={(pairs, onSuccess) =>
        patch.mutate({ model_mappings: pairs.map(([pattern, model]) => ({ pattern, model })) }, { onSuccess })
      }
    />
  );
}

/** Levels of keys that models try first. */
export function LevelMappings({ policy, mayWrite }: { policy: Policy; mayWrite: boolean }) {
  const [editing, setEditing] = useState(false);
  const patch = usePatchPolicy("Key levels saved", policy, editing);
  return (
    <Mappings
      title="Key levels"
      lead="A call for a model that fits tries the keys of a level before all others. The first that fits counts."
      what="key level"
      to="Level of keys"
      patternHint="claude*"
      toHint="2"
      none="None. Keys serve in the order of their own levels and places."
      stored={policy.level_mappings.map(({ pattern, level }) => [pattern, String(level)])}
      faultOf={(to) => (/^\d{1,4}$/.test(to) ? undefined : "A level is a whole number from 0 to 9999.")}
      mayWrite={mayWrite}
      patch={patch}
      onEditing={setEditing}
      onSave={(pairs, onSuccess) =>
        patch.mutate({ level_mappings: pairs.map(([pattern, to]) => ({ pattern, level: Number(to) })) }, { onSuccess })
      }
    />
  );
}

type Pair = [pattern: string, to: string];

function Mappings({
  title,
  lead,
  what,
  to,
  patternHint,
  toHint,
  none,
  stored,
  faultOf,
  mayWrite,
  patch,
  onEditing,
  onSave,
}: {
  title: string;
  lead: string;
  what: string;
  to: string;
  patternHint: string;
  toHint: string;
  none: string;
  stored: Pair[];
  faultOf: (to: string) => string | undefined;
  mayWrite: boolean;
  patch: ReturnType<typeof usePatchPolicy>;
  /** Whether there is something that is not saved. */
  onEditing: (editing: boolean) => void;
  onSave: (pairs: Pair[], onSuccess: () => void) => void;
}) {
  const [draft, setLines] = useState<Line[]>();
  const setDraft = (lines: Line[] | undefined) => {
    setLines(lines);
    onEditing(lines !== undefined);
  };
  const [fault, setFault] = useState<string>();
  const next = useRef(1000);
  const lines = draft ?? stored.map(([pattern, to], id) => ({ id, pattern, to }));
  useUnsaved(draft !== undefined);
  const edit = (lines: Line[]) => {
    setFault(undefined);
    setDraft(lines);
  };
  const change = (id: number, part: Partial<Line>) =>
    edit(lines.map((line) => (line.id === id ? { ...line, ...part } : line)));
  const add = () => {
    next.current += 1;
    edit([...lines, { id: next.current, pattern: "", to: "" }]);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const pairs = lines.map(({ pattern, to }): Pair => [pattern.trim(), to.trim()]);
    const wrong = pairs.some(([pattern]) => pattern === "")
      ? "A name is missing."
      : pairs.map(([, to]) => faultOf(to)).find(Boolean);
    setFault(wrong);
    if (!wrong) onSave(pairs, () => setDraft(undefined));
  };
  return (
    <Section
      title={title}
      lead={lead}
      actions={
        mayWrite && (
          <Button size="small" onClick={add} disabled={lines.length >= 200}>
            <Plus aria-hidden="true" size={14} /> Add {what}
          </Button>
        )
      }
    >
      {lines.length === 0 && !draft ? (
        <p className="text-soft">{none}</p>
      ) : (
        <form onSubmit={submit} noValidate className="flex flex-col gap-3">
          {lines.length > 0 && (
            <Card>
              <ol aria-label={title} className="divide-y divide-line">
                {lines.map((line, index) => (
                  <li key={line.id} className="flex items-center gap-2 px-4 py-3 max-sm:flex-wrap">
                    {mayWrite ? (
                      <>
                        <div className="min-w-0 flex-1 max-sm:basis-full">
                          <input
                            aria-label={`Name ${index + 1}`}
                            className={inputClass}
                            value={line.pattern}
                            placeholder={patternHint}
                            maxLength={256}
                            autoComplete="off"
                            spellCheck={false}
                            onChange={(event) => change(line.id, { pattern: event.target.value })}
                          />
                        </div>
                        <ArrowRight aria-hidden="true" size={16} className="shrink-0 text-soft" />
                        <div className="min-w-0 flex-1">
                          <input
                            aria-label={`${to} ${index + 1}`}
                            className={inputClass}
                            value={line.to}
                            placeholder={toHint}
                            maxLength={256}
                            autoComplete="off"
                            spellCheck={false}
                            onChange={(event) => change(line.id, { to: event.target.value })}
                          />
                        </div>
                        <IconButton
                          label={`Remove ${what} ${index + 1}`}
                          onClick={() => edit(lines.filter(({ id }) => id !== line.id))}
                        >
                          <Trash2 size={16} />
                        </IconButton>
                      </>
                    ) : (
                      <>
                        <code className="font-mono text-xs break-all">{line.pattern}</code>
                        <ArrowRight aria-hidden="true" size={16} className="shrink-0 text-soft" />
                        <code className="font-mono text-xs break-all">{line.to}</code>
                      </>
                    )}
                  </li>
                ))}
              </ol>
            </Card>
          )}
          {fault && (
            <p role="alert" className="text-bad">
              {fault}
            </p>
          )}
          {patch.isError && <ErrorNote error={patch.error} />}
          {draft && (
            <SaveOrCancel
              busy={patch.isPending}
              onCancel={() => {
                patch.reset();
                setFault(undefined);
                setDraft(undefined);
              }}
            />
          )}
        </form>
      )}
    </Section>
  );
}
