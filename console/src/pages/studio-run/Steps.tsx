import { Link } from "@tanstack/react-router";
import { ApiError } from "@/api/error";
import { milliseconds } from "@/format/number";
import { useWorkspace } from "@/shell/workspace";
import { Badge } from "@/ui/Badge";
import { ErrorNote } from "@/ui/ErrorNote";
import { Card, Section } from "@/ui/Page";
import { hintOf, type Run, type Step, stepNames } from "../studio/runs";
import { StatusBadge } from "../studio/StatusBadge";

/** What is made, in order: by whom, with whose key, and why it was not. */
export function Steps({ run }: { run: Run }) {
  const names = stepNames(run.steps);
  return (
    <Section title="Steps">
      <Card>
        <ol aria-label="Steps" className="divide-y divide-line">
          {run.steps.map((step, index) => (
            <li key={names[index]} className="flex flex-col gap-2 px-4 py-3">
              <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
                <span className="font-medium">{names[index]}</span>
                <StatusBadge status={step.status} />
                {step.key_source && (
                  <Badge tone={step.key_source === "byok" ? "ok" : "accent"}>
                    {step.key_source === "byok" ? "Own key" : "Credits"}
                  </Badge>
                )}
                <span className="text-xs text-soft tabular-nums sm:ml-auto">{took(step)}</span>
              </div>
              <p className="text-xs wrap-anywhere text-soft">
                {step.provider ? <LastCall step={step} /> : nothing(step)}
              </p>
              {run.error?.step === index && (
                <ErrorNote
                  error={
                    new ApiError(0, {
                      code: run.error.code,
                      detail: run.error.message,
                      hint: hintOf(run.error.code, step.output_type),
                    })
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

/** The model of the last call, and the id by which usage knows it. */
function LastCall({ step }: { step: Step }) {
  const workspace = useWorkspace();
  return (
    <>
      <span className="font-mono">
        {step.provider}/{step.model}
      </span>
      {step.attempts > 1 && `, ${step.attempts} calls`}
      {step.request_id && (
        <>
          , request{" "}
          <Link
            to={`/w/${workspace.id}/usage`}
            search={{ request: step.request_id } as never}
            className="font-mono text-accent-text underline-offset-2 hover:underline"
          >
            {step.request_id}
          </Link>
        </>
      )}
    </>
  );
}

function nothing({ status }: Step): string {
  return status === "pending" ? "Its turn has not come." : "No call was made for it.";
}

function took({ started_at, ended_at }: Step): string {
  return started_at && ended_at ? milliseconds(Date.parse(ended_at) - Date.parse(started_at)) : "";
}
