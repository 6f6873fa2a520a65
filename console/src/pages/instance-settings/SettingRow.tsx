import { createContext, type ReactNode, useContext, useId } from "react";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { Checkbox } from "@/ui/Checkbox";
import type { ControlProps } from "@/ui/Field";
import { inputClass } from "@/ui/Field";
import { Card, Section } from "@/ui/Page";
import { type Option, Select } from "@/ui/Select";
import { DEFAULTS, type Field, type Form, isSame } from "./form";

/** The form, to the rows of it. */
interface Editing {
  shown: Form;
  stored: Form;
  faults: Partial<Record<Field, string>>;
  set: <F extends Field>(field: F, value: Form[F]) => void;
}

const Context = createContext<Editing | undefined>(undefined);
export const EditingProvider = Context.Provider;

export function useEditing(): Editing {
  const editing = useContext(Context);
  if (!editing) throw new Error("a setting stands in the form of the settings");
  return editing;
}

/** Settings about one thing. */
export function Group({ title, lead, children }: { title: string; lead?: ReactNode; children: ReactNode }) {
  return (
    <Section title={title} lead={lead}>
      <Card>
        <div className="divide-y divide-line">{children}</div>
      </Card>
    </Section>
  );
}

/** One setting: what it does, whether it was changed, its control, and the way back to what a new instance has. */
export function SettingRow({
  field,
  title,
  children: means,
  control,
  wide,
  group,
}: {
  field: Field;
  title: string;
  /** What it does, and its range. */
  children: ReactNode;
  control: (props: ControlProps) => ReactNode;
  /** For controls that need the whole width. */
  wide?: boolean;
  /** The control is several ones, each with its own label. */
  group?: boolean;
}) {
  const id = useId();
  const { shown, stored, faults, set } = useEditing();
  const fault = faults[field];
  const isDefault = isSame(field, shown[field], DEFAULTS[field]);
  const described = `${id}-means${fault ? ` ${id}-fault` : ""}`;
  return (
    <div className={wide ? "flex flex-col gap-3 p-4" : "grid gap-x-8 gap-y-3 p-4 md:grid-cols-[minmax(0,1fr)_19rem]"}>
      <div className="min-w-0">
        <div className="flex flex-wrap items-center gap-x-2 gap-y-1">
          {group ? (
            <p id={`${id}-label`} className="font-medium">
              {title}
            </p>
          ) : (
            <label htmlFor={id} className="font-medium">
              {title}
            </label>
          )}
          <code className="font-mono text-xs break-all text-soft">{field}</code>
          {!isSame(field, shown[field], stored[field]) && <Badge tone="accent">Not saved</Badge>}
        </div>
        <div id={`${id}-means`} className="mt-1 max-w-2xl text-soft">
          {means}
        </div>
      </div>
      <div className="flex min-w-0 flex-col items-start gap-1.5">
        {group ? (
          // biome-ignore lint/a11y/useSemanticElements: a fieldset cannot be described by what stands before it
          <div role="group" aria-labelledby={`${id}-label`} aria-describedby={described} className="w-full">
            {control({ id, "aria-describedby": undefined, "aria-invalid": fault ? true : undefined })}
          </div>
        ) : (
          <div className="w-full">
            {control({ id, "aria-describedby": described, "aria-invalid": fault ? true : undefined })}
          </div>
        )}
        {fault && (
          <p id={`${id}-fault`} className="text-bad">
            {fault}
          </p>
        )}
        {!isDefault && (
          <Button size="small" look="quiet" className="-ml-2" onClick={() => set(field, DEFAULTS[field])}>
            Not the default; bring it back
            <span className="sr-only"> for {title}</span>
          </Button>
        )}
      </div>
    </div>
  );
}

/** The fields whose value is one of some words. */
type WordField = { [F in Field]: Form[F] extends string ? F : never }[Field];

/** A setting that is one of few choices. */
export function ChoiceRow<F extends WordField>({
  field,
  title,
  options,
  children,
}: {
  field: F;
  title: string;
  options: Option<Form[F] & string>[];
  children: ReactNode;
}) {
  const { shown, set } = useEditing();
  return (
    <SettingRow
      field={field}
      title={title}
      control={(control) => (
        <Select
          control={control}
          value={shown[field] as Form[F] & string}
          options={options}
          onChange={(value) => set(field, value)}
        />
      )}
    >
      {children}
    </SettingRow>
  );
}

/** A setting that is a number, a decimal or nothing, as it is typed. */
export function NumberRow({
  field,
  title,
  placeholder,
  unit,
  children,
}: {
  field: "default_level" | "held_output_tokens" | "run_retention_days" | "run_step_timeout_ms" | "credit_factor";
  title: string;
  placeholder?: string;
  unit?: string;
  children: ReactNode;
}) {
  const { shown, set } = useEditing();
  return (
    <SettingRow
      field={field}
      title={title}
      control={(control) => (
        <div className="flex items-center gap-2">
          <input
            {...control}
            className={inputClass}
            inputMode="decimal"
            autoComplete="off"
            placeholder={placeholder}
            value={shown[field]}
            onChange={(event) => set(field, event.target.value)}
          />
          {unit && <span className="shrink-0 text-soft">{unit}</span>}
        </div>
      )}
    >
      {children}
    </SettingRow>
  );
}

/** A setting that is yes or no. */
export function YesNoRow({
  field,
  title,
  label,
  children,
}: {
  field: "managed_fallback_allowed" | "release_keys_allowed" | "managed_hedging_allowed";
  title: string;
  label: string;
  children: ReactNode;
}) {
  const { shown, set } = useEditing();
  return (
    <SettingRow
      field={field}
      title={title}
      group
      control={() => <Checkbox checked={shown[field]} onChange={(value) => set(field, value)} label={label} />}
    >
      {children}
    </SettingRow>
  );
}
