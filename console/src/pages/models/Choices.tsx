import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Lock } from "lucide-react";
import { type ReactNode, useMemo } from "react";
import { providersQuery } from "@/api/queries";
import { type Policy, usePatchPolicy } from "@/pages/ai-config/policy";
import { useMe } from "@/shell/workspace";
import { Badge } from "@/ui/Badge";
import type { Entry } from "@/ui/Combobox";
import { ErrorNote } from "@/ui/ErrorNote";
import { Note } from "@/ui/Note";
import { Card, Section } from "@/ui/Page";
import { embeddingGroups } from "./embeddings";
import { ModelPicker } from "./ModelPicker";
import { type Models, refusalText, served, TIERS, type TierView } from "./models";
import { NamePicker } from "./NamePicker";

/** In the picker what the API says with `null` or by leaving it out. */
const NONE = "";
const LEVEL_1: Entry[] = [{ value: NONE, label: "The model of level 1" }];
const INSTANCE: Entry[] = [{ value: NONE, label: "The instance's choice" }];

const CHOSEN_BY: Record<string, string> = { workspace: "this workspace", instance: "the instance" };

/** The default model and the models behind tiers. A choice is taken at once and counts from the next call. */
export function Choices({ models, policy, mayWrite }: { models: Models; policy: Policy; mayWrite: boolean }) {
  const patch = usePatchPolicy("Choice saved", policy);
  const isInstanceAdmin = useMe().user.instance_admin;
  // Neither the workspace nor the instance says what level 1 is.
  const isOpen = models.tiers.some(({ tier, model }) => tier === "level_1" && !model);
  const chooser = models.default_chosen_by ? CHOSEN_BY[models.default_chosen_by] : undefined;
  return (
    <Section
      title="Default and tiers"
      lead="A call may leave the choice open with the model default, or name a tier. The default may be a tier or a preset; behind a tier stands one model. A change counts from the next call."
    >
      <Card>
        <ul className="divide-y divide-line">
          <Row
            name="Default"
            code="default"
            means="When a call leaves the choice open"
            state={
              models.default_model ? (
                <span className="text-xs text-soft">
                  <span className="break-all">{models.default_model}</span>
                  {chooser && `, chosen by ${chooser}`}
                </span>
              ) : (
                <Refused why={refusalText("model_not_chosen")} />
              )
            }
          >
            {mayWrite ? (
              <ModelPicker
                label="Default model"
                value={policy.model ?? NONE}
                models={models}
                presets={policy.presets}
                tiers
                first={LEVEL_1}
                disabled={patch.isPending}
                onChange={(model) => patch.mutate({ model: model === NONE ? null : model })}
              />
            ) : (
              <Told text={policy.model ?? "The model of level 1"} />
            )}
          </Row>
          {models.tiers.map((view) => (
            <TierRow key={view.tier} view={view} models={models} policy={policy} mayWrite={mayWrite} patch={patch} />
          ))}
        </ul>
      </Card>
      {patch.isError && <ErrorNote error={patch.error} title="The choice was not saved" />}
      {isInstanceAdmin && !models.default_model && isOpen && (
        <Note>
          Nobody chose a model for the whole instance yet: a call that leaves the choice open, or names a tier, is
          refused in every workspace without a choice of its own. Choose them once for all under{" "}
          <Link to="/admin/settings" className="text-accent-text underline underline-offset-2">
            Settings
          </Link>
          .
        </Note>
      )}
    </Section>
  );
}

function TierRow({
  view,
  models,
  policy,
  mayWrite,
  patch,
}: {
  view: TierView;
  models: Models;
  policy: Policy;
  mayWrite: boolean;
  patch: ReturnType<typeof usePatchPolicy>;
}) {
  const { tier, locked, plans, model, refusal } = view;
  const { tone, word } = served(view);
  const providers = useQuery(providersQuery).data;
  const embeddings = useMemo(() => embeddingGroups(INSTANCE, providers ?? []), [providers]);
  const chosen = policy.tiers[tier] ?? NONE;
  // A merge patch takes an entry out by `null`, which the type of the document does not say.
  const choose = (value: string) =>
    patch.mutate({ tiers: { [tier]: value === NONE ? null : value } as Record<string, string> });
  const state = locked ? (
    <span className="flex items-center gap-1.5 text-xs text-soft">
      <Lock aria-hidden="true" size={14} className="shrink-0" />
      Locked by the plan {policy.plan}
      {plans.length > 0 && `; ${plans.join(", ")} ${plans.length === 1 ? "opens" : "open"} it`}
    </span>
  ) : (
    <span className="flex flex-wrap items-center gap-2 text-xs text-soft">
      <Badge tone={tone}>{word}</Badge>
      {refusal ? refusalText(refusal) : chosen === NONE && model && <span className="break-all">{model}</span>}
    </span>
  );
  return (
    <Row name={TIERS[tier].name} code={tier} means={TIERS[tier].means} state={state}>
      {locked || !mayWrite ? (
        <Told text={chosen || "The instance's choice"} />
      ) : tier === "embeddings" ? (
        <NamePicker
          label={TIERS[tier].name}
          value={chosen}
          groups={embeddings}
          disabled={patch.isPending}
          onChange={choose}
        />
      ) : (
        <ModelPicker
          label={TIERS[tier].name}
          value={chosen}
          models={models}
          first={INSTANCE}
          disabled={patch.isPending}
          onChange={choose}
        />
      )}
    </Row>
  );
}

function Refused({ why }: { why: string }) {
  const { tone, word } = served({ key_source: null, refusal: "", served_by: null });
  return (
    <span className="flex flex-wrap items-center gap-2 text-xs text-soft">
      <Badge tone={tone}>{word}</Badge>
      {why}
    </span>
  );
}

function Told({ text }: { text: string }) {
  return <p className="break-all">{text}</p>;
}

function Row({
  name,
  code,
  means,
  state,
  children,
}: {
  name: string;
  code: string;
  means: string;
  state: ReactNode;
  children: ReactNode;
}) {
  return (
    <li className="grid items-center gap-x-6 gap-y-2 px-4 py-3 md:grid-cols-[13rem_minmax(0,1fr)_15rem]">
      <div className="min-w-0">
        <p className="font-medium">
          {name} <code className="font-mono text-xs font-normal text-soft">{code}</code>
        </p>
        <p className="text-xs text-soft">{means}</p>
      </div>
      <div className="min-w-0">{children}</div>
      <div className="min-w-0">{state}</div>
    </li>
  );
}
