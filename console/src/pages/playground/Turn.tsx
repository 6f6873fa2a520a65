import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { providersQuery } from "@/api/queries";
import { usd } from "@/format/money";
import { count, milliseconds } from "@/format/number";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { CopyButton } from "@/ui/Copy";
import { Credits } from "@/ui/Credits";
import { ErrorNote } from "@/ui/ErrorNote";
import { Markdown } from "@/ui/Markdown";
import { Spinner } from "@/ui/Spinner";
import { CreditsExhausted } from "./CreditsExhausted";
import type { Answer, Call, TurnState } from "./useChat";

/** What somebody asked and what came of it. `onRetry` is there where it can be asked again. */
export function Turn({ turn, onRetry }: { turn: TurnState; onRetry: (() => void) | undefined }) {
  const { question, answer } = turn;
  return (
    <li className="flex flex-col gap-3">
      <div className="ml-auto max-w-[85%] rounded-lg bg-accent-soft px-4 py-2.5 break-words whitespace-pre-wrap">
        <span className="sr-only">You: </span>
        {question}
      </div>
      <div className="flex flex-col gap-2 rounded-lg border border-line bg-surface px-4 py-3">
        <span className="sr-only">Answer: </span>
        {answer.text !== "" && <Markdown text={answer.text} headings={2} />}
        <State answer={answer} onRetry={onRetry} />
        {answer.call && <Facts answer={answer} call={answer.call} />}
      </div>
    </li>
  );
}

function State({ answer, onRetry }: { answer: Answer; onRetry: (() => void) | undefined }) {
  if (answer.state === "waiting") {
    return (
      <p role="status" className="flex items-center gap-2 text-soft">
        <Spinner /> {answer.text === "" ? "Waiting for the first words" : "Answering"}
      </p>
    );
  }
  if (answer.state === "failed") {
    return (
      <div className="flex flex-col items-start gap-2">
        {answer.error?.code === "credits_exhausted" ? (
          <CreditsExhausted error={answer.error} />
        ) : (
          <ErrorNote error={answer.error} title={answer.text === "" ? undefined : "The answer broke off"} />
        )}
        {onRetry && (
          <Button size="small" onClick={onRetry}>
            Ask again
          </Button>
        )}
      </div>
    );
  }
  if (answer.state === "stopped") return <p className="text-soft">Stopped. What was said until then may be billed.</p>;
  if (answer.cut) return <p className="text-soft">{answer.text === "" ? CUT_BEFORE_A_WORD : CUT}</p>;
  if (answer.text === "") return <p className="text-soft">The model ended without a word.</p>;
  return null;
}

const CUT = "The answer ended at the output limit.";
const CUT_BEFORE_A_WORD = "The output limit was reached before a word was said, by what the model thought. Raise it.";

/** Who served the call, who pays, and what it took. Nothing is guessed: what is not known is not shown. */
function Facts({ answer, call }: { answer: Answer; call: Call }) {
  const providers = useQuery(providersQuery);
  const provider = providers.data?.find(({ id }) => id === call.provider)?.name ?? call.provider;
  return (
    <div className="mt-1 flex flex-wrap items-center gap-x-4 gap-y-2 border-t border-line pt-2.5 text-xs text-soft">
      {call.keySource && (
        <Badge tone={call.keySource === "byok" ? "ok" : "accent"}>
          {call.keySource === "byok" ? ["Own key", call.keyLabel].filter(Boolean).join(" ") : "Credits"}
        </Badge>
      )}
      <dl aria-label="Call" className="flex min-w-60 flex-1 flex-wrap items-center gap-x-4 gap-y-1">
        <Fact name="Provider">{provider}</Fact>
        {call.model && <Fact name="Model">{call.model}</Fact>}
        {call.tokens && (
          <Fact name="Tokens">
            {count(call.tokens.input)} in, {count(call.tokens.output)} out
          </Fact>
        )}
        <CostOf call={call} />
        {call.latencyMs !== undefined && (
          <Fact name="Latency">
            {call.firstMs !== undefined && `${milliseconds(call.firstMs)} to the first word, `}
            {milliseconds(call.latencyMs)} in all
          </Fact>
        )}
        {call.attempts > 1 && <Fact name="Attempts">{count(call.attempts)}</Fact>}
        {call.warnings && <Fact name="Left out or changed">{call.warnings}</Fact>}
      </dl>
      {answer.text !== "" && answer.state !== "waiting" && (
        <span className="ml-auto">
          <CopyButton text={answer.text} name="the answer" />
        </span>
      )}
    </div>
  );
}

function CostOf({ call: { cost, keySource } }: { call: Call }) {
  if (cost === undefined) return null;
  if (cost === "asking") return <Fact name="Cost">is being recorded</Fact>;
  if (cost.nanoUsd === null) return <Fact name="Cost">not known</Fact>;
  return (
    <>
      <Fact name={cost.estimated ? "List price, estimated" : "List price"}>{usd(cost.nanoUsd)}</Fact>
      {keySource === "managed" && (
        <Fact name="Charged">
          <Credits nanoUsd={cost.chargeNanoUsd} />
        </Fact>
      )}
    </>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="flex min-w-0 gap-1">
      <dt className="shrink-0">{name}</dt>
      <dd className="min-w-0 break-words text-text tabular-nums">{children}</dd>
    </div>
  );
}
