import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { MessagesSquare } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { policyQuery, providersQuery } from "@/api/queries";
import { aiConfigQuery } from "@/pages/ai-config/policy";
import { ModelPicker } from "@/pages/models/ModelPicker";
import { defaultEntry, firstModel, type Models, modelsQuery, whoPays } from "@/pages/models/models";
import { NEW } from "@/shell/newDialog";
import { useMe, useWorkspace } from "@/shell/workspace";
import { Button, buttonClass } from "@/ui/Button";
import { EmptyState } from "@/ui/EmptyState";
import { ErrorState } from "@/ui/ErrorNote";
import { Field, inputClass, TextField } from "@/ui/Field";
import { PageBody } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { Composer } from "./Composer";
import { DEFAULT_LIMIT, limitFault, limitOf, ownLimit } from "./limit";
import { Turn } from "./Turn";
import { useChat, type Wishes } from "./useChat";

/** A conversation with any model that the workspace may call. It lasts as long as the page. */
export function Page() {
  const workspace = useWorkspace();
  const models = useQuery(modelsQuery(workspace.id));
  const policy = useQuery(policyQuery(workspace.id)).data;
  const presets = policy?.presets;
  const search = useSearch({ strict: false }) as { model?: unknown };
  const navigate = useNavigate();
  const providers = useQuery(providersQuery).data ?? [];
  const [system, setSystem] = useState("");
  // Until somebody writes one: a preset may have its own.
  const [writtenLimit, setLimit] = useState<string>();
  const chat = useChat(workspace.id);
  const first = useMemo(() => defaultEntry(models.data), [models.data]);
  const end = useRef<HTMLDivElement>(null);
  const said = chat.turns.length;
  useEffect(() => {
    if (said > 0) end.current?.scrollIntoView({ block: "end" });
  }, [said]);

  const named = typeof search.model === "string" ? search.model : undefined;
  const model = named ?? (models.data && firstModel(models.data));
  const limit = writtenLimit ?? String((model && ownLimit(model, presets, policy?.model)) ?? DEFAULT_LIMIT);
  const fault = limitFault(limit);
  const wishes = (model: string, models: Models): Wishes => ({
    model,
    system,
    limit: limitOf(limit, model, models, presets, providers),
  });
  const choose = (next: string) => navigate({ to: ".", search: { model: next } as never, replace: true });
  return (
    <PageBody
      title="Playground"
      lead="Real calls, as your programs make them: own keys or credits pay. The conversation is kept nowhere but in this page."
      actions={
        said > 0 && (
          <Button onClick={chat.clear} disabled={chat.busy}>
            New conversation
          </Button>
        )
      }
    >
      {models.isLoadingError ? (
        <ErrorState error={models.error} retry={() => models.refetch()} />
      ) : !models.data ? (
        <SkeletonRows label="Loading the models" rows={2} />
      ) : model === undefined ? (
        <NoModel />
      ) : (
        <>
          <div className="grid items-start gap-4 md:grid-cols-[2fr_2fr_1fr]">
            <Field label="Model" hint={whoPays(models.data, model)}>
              {(control) => (
                <ModelPicker
                  control={control}
                  value={model}
                  onChange={choose}
                  models={models.data}
                  presets={presets}
                  tiers
                  onlyServed
                  first={first}
                />
              )}
            </Field>
            <Field label="System prompt" optional hint="Sent in front of each message of this conversation">
              {(control) => (
                <textarea
                  {...control}
                  rows={1}
                  className={`${inputClass} h-auto min-h-9 resize-y py-1.5`}
                  value={system}
                  placeholder="Answer in one sentence."
                  onChange={(event) => setSystem(event.target.value)}
                />
              )}
            </Field>
            <TextField
              label="Output limit"
              hint="Tokens of an answer at most; credits are held for as many. Empty: as many as the model writes"
              error={fault}
              inputMode="numeric"
              autoComplete="off"
              value={limit}
              onChange={(event) => setLimit(event.target.value)}
            />
          </div>
          {said === 0 ? (
            <p className="rounded-lg border border-dashed border-line px-4 py-10 text-center text-soft">
              Nothing was said yet. Each answer shows who served it, and what it took.
            </p>
          ) : (
            <ol aria-label="Conversation" className="flex flex-col gap-4">
              {chat.turns.map((turn, index) => (
                <Turn
                  key={turn.id}
                  turn={turn}
                  onRetry={
                    index === said - 1 && !chat.busy && !fault
                      ? () => chat.retry(wishes(model, models.data))
                      : undefined
                  }
                />
              ))}
            </ol>
          )}
          <Composer
            busy={chat.busy}
            ready={fault === undefined}
            onSend={(text) => chat.send(wishes(model, models.data), text)}
            onStop={chat.stop}
          />
          <div ref={end} />
        </>
      )}
    </PageBody>
  );
}

function NoModel() {
  const workspace = useWorkspace();
  const isInstanceAdmin = useMe().user.instance_admin;
  const config = useQuery(aiConfigQuery(workspace.id)).data;
  const mode = config?.effective_mode;
  const lacksPlatformKey = mode === "managed" && !config?.managed_available;
  const lacksCredits = mode === "managed" && config?.managed_available && !config.credits_left;
  const action =
    lacksPlatformKey && isInstanceAdmin ? (
      <Link to="/admin/platform-keys" search={NEW as never} className={buttonClass("primary")}>
        Add a platform key
      </Link>
    ) : mode === "managed" || mode === null ? (
      <Link to={`/w/${workspace.id}/ai-config`} className={buttonClass("primary")}>
        See who pays
      </Link>
    ) : (
      <Link to={`/w/${workspace.id}/keys`} className={buttonClass("primary")}>
        See the provider keys
      </Link>
    );
  return (
    <EmptyState icon={MessagesSquare} title="No model can be called yet" action={action}>
      {lacksPlatformKey
        ? "Credits would pay, and the instance has no key that serves."
        : lacksCredits
          ? "Credits would pay, and the account has none left."
          : mode === "managed"
            ? "Credits would pay, and nothing that they pay for can be called."
            : mode === null
              ? "The instance does not offer the mode that this workspace is in, so every call is refused."
              : "A call needs a provider key of this workspace that may serve, or credits."}
    </EmptyState>
  );
}
