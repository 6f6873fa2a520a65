import { useQuery } from "@tanstack/react-query";
import { Ban, Coins, KeyRound } from "lucide-react";
import type { Schemas } from "@/api/client";
import { providersQuery } from "@/api/queries";
import { Badge } from "@/ui/Badge";
import { Card, Section } from "@/ui/Page";
import { Time } from "@/ui/Time";
import { chosenByText, rankText, refusalText, ruleText, stepText, WHEN } from "./words";

type Resolution = Schemas["Resolution"];
type Target = Schemas["TargetView"];

/** Who would serve and pay, then in which order, then why. */
export function Answer({ answer }: { answer: Resolution }) {
  const providers = useQuery(providersQuery).data ?? [];
  const names = new Map(providers.map(({ id, name }) => [id, name]));
  const nameOf = (id: string) => names.get(id) ?? id;
  const first = answer.targets[0];
  const chosen = chosenByText(answer.chosen_by);
  return (
    <div className="flex flex-col gap-6">
      <Card className="flex gap-3 p-4 sm:p-5">
        <Mark answer={answer} />
        <div role="status" className="min-w-0">
          <p className="text-base font-semibold">
            {first ? <>{who(first, nameOf)} would serve</> : "The call would be refused"}
          </p>
          {first ? (
            <p className="text-soft">
              {first.key_source === "byok"
                ? `${nameOf(first.provider)} bills the owner of the key. No credits are taken.`
                : "Credits pay. Whether the balance bears it and the price is known shows at the call alone."}
            </p>
          ) : (
            answer.refusal && (
              <>
                <p className="text-soft">{refusalText(answer.refusal.code)}</p>
                <p className="mt-1 font-mono text-xs break-all text-soft">{answer.refusal.code}</p>
                {(answer.refusal.presets ?? []).length > 0 && (
                  <p className="mt-1 text-soft">
                    The workspace has {answer.refusal.presets?.map((preset) => `@${preset}`).join(", ")}.
                  </p>
                )}
                {(answer.refusal.providers ?? []).length > 0 && (
                  <p className="mt-1 text-soft">Missing for {answer.refusal.providers?.map(nameOf).join(", ")}.</p>
                )}
              </>
            )
          )}
          <p className="mt-2 text-soft">
            Asked for <code className="font-mono text-text break-all">{answer.requested}</code>
            {answer.model && answer.model !== answer.requested && (
              <>
                , which is <code className="font-mono text-text break-all">{answer.model}</code>
              </>
            )}
            {chosen && `, ${chosen}`}
            {answer.preset && `, the preset ${answer.preset}`}
            {answer.mapped_by && `, put in its place by the mapping of ${answer.mapped_by.pattern}`}
            {answer.ranking && `, its providers ranked by ${answer.ranking}`}.
          </p>
        </div>
      </Card>
      {answer.targets.length > 0 && (
        <Section title="In which order" lead="The first serves; each other one only when its turn comes.">
          <Card>
            <ol aria-label="In which order" className="divide-y divide-line">
              {answer.targets.map((target, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: an answer never changes
                <li key={index} className="flex flex-wrap items-center gap-x-4 gap-y-1 px-4 py-3">
                  <span className="w-5 text-soft tabular-nums">{index + 1}.</span>
                  <span className="min-w-0 font-medium">{who(target, nameOf)}</span>
                  <Badge tone={target.key_source === "byok" ? "ok" : "accent"}>
                    {target.key_source === "byok" ? "Own key" : "Credits"}
                  </Badge>
                  <code className="min-w-0 font-mono text-xs break-all">{target.model}</code>
                  <span className="text-soft">{index > 0 && WHEN[target.when]}</span>
                  {target.ranked_by && <span className="text-soft">{rankText(target.ranked_by)}</span>}
                  {target.sleeping_until && (
                    <span className="text-warn">
                      failed lately; others are preferred until <Time at={target.sleeping_until} />
                    </span>
                  )}
                </li>
              ))}
            </ol>
          </Card>
        </Section>
      )}
      <Section title="Why" lead="Each rule of the decision table that spoke, in its order.">
        <Card>
          <ol aria-label="Why" className="divide-y divide-line">
            {answer.trace.map((step, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: an answer never changes
              <li key={index} className="grid grid-cols-[1.5rem_1fr] gap-x-2 px-4 py-3 sm:grid-cols-[1.5rem_18rem_1fr]">
                <span className="text-soft tabular-nums">{step.rule}</span>
                <span className="text-soft">{ruleText(step.rule)}</span>
                <span className="col-start-2 min-w-0 break-words sm:col-start-3">{stepText(step, names)}</span>
              </li>
            ))}
          </ol>
        </Card>
      </Section>
    </div>
  );
}

function who(target: Target, nameOf: (id: string) => string): string {
  const provider = nameOf(target.provider);
  if (target.key_source === "managed") return `The instance's key for ${provider}`;
  return target.key_label ? `Own key ${target.key_label} of ${provider}` : `An own key of ${provider}`;
}

function Mark({ answer }: { answer: Resolution }) {
  const first = answer.targets[0];
  if (!first) return <Ban aria-hidden="true" size={20} className="mt-0.5 shrink-0 text-bad" />;
  const Icon = first.key_source === "byok" ? KeyRound : Coins;
  return <Icon aria-hidden="true" size={20} className="mt-0.5 shrink-0 text-accent-text" />;
}
