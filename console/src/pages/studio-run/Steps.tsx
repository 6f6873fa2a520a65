import { ApiError } from "@/api/error";
import { milliseconds } from "@/format/number";
import { Badge } from "@/ui/Badge";
import { ErrorNote } from "@/ui/ErrorNote";
import { Card, Section } from "@/ui/Page";
import { hintOf, type Run, type Step } from "../studio/runs";
import { StatusBadge } from "../studio/StatusBadge";

/** What is made, in order: by whom, with whose key, and why it was not. */
export function Steps({ run }: { run: Run }) {
  const names = namesOf(run.steps);
  return (
    <Section title="Steps">
      <Card>
        <ol aria-label="Steps" className="divide-y divide-line">
          {run.steps.map((step, index) => (
            <li key={names[index]} className="flex flex-col gap-2 px-4 py-3">
              <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
                <span className="font-medium">{names[index]}</span>
                <StatusBadge status={step.status} />
                {step.key_source && <Badge tone="accent">{step.key_source === "byok" ? "own key" : "credits"}</Badge>}
                <span className="text-xs text-soft sm:ml-auto">{took(step)}</span>
              </div>
              <p className="text-xs wrap-anywhere text-soft">
                {step.provider ? (
                  <>
                    <span className="font-mono">
                      {step.provider}/{step.model}
                    </span>
                    {step.attempts > 1 && `, ${step.attempts} calls`}
                    {step.request_id && (
                      <>
                        {", "}
                        <span className="font-mono">{step.request_id}</span>
                      </>
                    )}
                  </>
                ) : (
                  "No call was made for it."
                )}
              </p>
              {run.error?.step === index && (
                <ErrorNote
                  error={
                    new ApiError(0, { code: run.error.code, detail: run.error.message, hint: hintOf(run.error.code) })
                  }
                />
              )}
            </li>
          ))}
        </ol>
      </Card>
    </Section>
  );
}

function namesOf(steps: Step[]): string[] {
  const pictures = steps.filter(({ output_type }) => output_type === "image").length;
  let picture = 0;
  return steps.map(({ output_type }) => {
    if (output_type === "script") return "Script";
    picture += 1;
    return pictures === 1 ? "Picture" : `Picture ${picture}`;
  });
}

function took({ started_at, ended_at }: Step): string {
  return started_at && ended_at ? milliseconds(Date.parse(ended_at) - Date.parse(started_at)) : "";
}
