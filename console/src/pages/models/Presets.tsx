import { Plus, Trash2 } from "lucide-react";
import { type FormEvent, useRef, useState } from "react";
import { type Policy, usePatchPolicy } from "@/pages/ai-config/policy";
import { Button, IconButton } from "@/ui/Button";
import { ErrorNote } from "@/ui/ErrorNote";
import { Field, focusFault, inputClass } from "@/ui/Field";
import { Card, Section } from "@/ui/Page";
import { SaveOrCancel } from "@/ui/SaveOrCancel";
import { Select } from "@/ui/Select";
import { useUnsaved } from "@/ui/Unsaved";
import { EFFORTS, type Fault, faultIn, type Line, linesOf, newLine, patchOf } from "./presets";

const EFFORT_OPTIONS = [
  { value: "", label: "As the request says" },
  ...Object.entries(EFFORTS).map(([value, label]) => ({ value, label })),
];

/** Names of the workspace that stand for models and for what requests leave unsaid. */
export function Presets({ policy, mayWrite }: { policy: Policy; mayWrite: boolean }) {
  // With the presets as they were when the first change was typed: the policy is read again while people type.
  const [draft, setDraft] = useState<{ base: Policy["presets"]; lines: Line[] }>();
  const [fault, setFault] = useState<Fault>();
  const patch = usePatchPolicy("Presets saved", policy, draft !== undefined);
  const next = useRef(1000);
  const lines = draft?.lines ?? linesOf(policy.presets);
  useUnsaved(draft !== undefined);
  const edit = (lines: Line[]) => {
    setFault(undefined);
    setDraft({ base: draft?.base ?? policy.presets, lines });
  };
  const add = () => {
    next.current += 1;
    edit([...lines, newLine(next.current)]);
  };
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const wrong = faultIn(lines);
    setFault(wrong);
    if (wrong) focusFault(event.currentTarget);
    else
      patch.mutate(
        { presets: patchOf(draft?.base ?? policy.presets, lines) },
        { onSuccess: () => setDraft(undefined) },
      );
  };
  return (
    <Section
      title="Presets"
      lead="A call for @name goes to the models of the preset, in their order; what the request leaves unsaid is the preset's. A model may end in :cost, :latency, :throughput or :balanced."
      actions={
        mayWrite && (
          <Button size="small" onClick={add} disabled={lines.length >= 50}>
            <Plus aria-hidden="true" size={14} /> Add preset
          </Button>
        )
      }
    >
      {lines.length === 0 && !draft ? (
        <p className="text-soft">None. Requests name models and say the rest themselves.</p>
      ) : (
        <form onSubmit={submit} noValidate className="flex flex-col gap-3">
          {lines.length > 0 && (
            <Card>
              <ol aria-label="Presets" className="divide-y divide-line">
                {lines.map((line, index) => (
                  <li key={line.id} className="px-4 py-4">
                    {mayWrite ? (
                      <PresetFields
                        line={line}
                        place={index + 1}
                        fault={fault?.id === line.id ? fault : undefined}
                        onChange={(part) =>
                          edit(lines.map((other) => (other.id === line.id ? { ...other, ...part } : other)))
                        }
                        onRemove={() => edit(lines.filter(({ id }) => id !== line.id))}
                      />
                    ) : (
                      <PresetFacts line={line} />
                    )}
                  </li>
                ))}
              </ol>
            </Card>
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

function PresetFields({
  line,
  place,
  fault,
  onChange,
  onRemove,
}: {
  line: Line;
  place: number;
  fault: Fault | undefined;
  onChange: (part: Partial<Line>) => void;
  onRemove: () => void;
}) {
  const error = (field: Fault["field"]) => (fault?.field === field ? { error: fault.says } : {});
  const text = (field: "name" | "models" | "temperature" | "topP" | "maxTokens", hint: string, label: string) => (
    <Field label={label} place={place} {...error(field)}>
      {(control) => (
        <input
          {...control}
          className={inputClass}
          value={line[field]}
          placeholder={hint}
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => onChange({ [field]: event.target.value })}
        />
      )}
    </Field>
  );
  return (
    <div className="flex items-start gap-2">
      <div className="grid min-w-0 grow gap-3">
        <div className="grid gap-3 sm:grid-cols-[1fr_2fr]">
          {text("name", "fast", "Preset")}
          {text("models", "openai/gpt-5.4-nano:latency, level_1", "Models of preset")}
        </div>
        <div className="grid gap-3 sm:grid-cols-4">
          {text("temperature", "As the request says", "Temperature")}
          {text("topP", "As the request says", "Top p")}
          {text("maxTokens", "As the request says", "Most output tokens")}
          <Field label="Effort" place={place}>
            {(control) => (
              <Select
                control={control}
                value={line.effort}
                onChange={(effort) => onChange({ effort })}
                options={EFFORT_OPTIONS}
              />
            )}
          </Field>
        </div>
        <Field label="System prompt" place={place} {...error("prompt")}>
          {(control) => (
            <textarea
              {...control}
              className={`${inputClass} h-auto py-2`}
              rows={2}
              value={line.prompt}
              placeholder="As the request says"
              onChange={(event) => onChange({ prompt: event.target.value })}
            />
          )}
        </Field>
      </div>
      <IconButton label={`Remove preset ${place}`} onClick={onRemove}>
        <Trash2 size={16} />
      </IconButton>
    </div>
  );
}

function PresetFacts({ line }: { line: Line }) {
  const facts = [
    line.temperature && `temperature ${line.temperature}`,
    line.topP && `top p ${line.topP}`,
    line.maxTokens && `at most ${line.maxTokens} output tokens`,
    line.effort && `effort ${line.effort}`,
  ].filter(Boolean);
  return (
    <div className="flex flex-col gap-1">
      <p className="flex flex-wrap gap-x-3">
        <code className="font-mono text-xs break-all">@{line.name}</code>
        <code className="font-mono text-xs break-all text-soft">{line.models}</code>
      </p>
      {facts.length > 0 && <p className="text-xs text-soft">{facts.join(", ")}</p>}
      {line.prompt && (
        <p className="text-xs break-words whitespace-pre-wrap text-soft">
          System prompt: <q className="text-text">{line.prompt}</q>
        </p>
      )}
    </div>
  );
}
