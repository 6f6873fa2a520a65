import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { changeSettings, plansQuery, settingsQuery } from "@/api/admin";
import type { Schemas } from "@/api/client";
import { ApiError } from "@/api/error";
import { LIVE_MS } from "@/api/queries";
import { plural } from "@/format/number";
import { switchesQuery } from "@/pages/providers/queries";
import { Badge } from "@/ui/Badge";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { ErrorState } from "@/ui/ErrorNote";
import { PageBody } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { toast } from "@/ui/Toaster";
import { useUnsaved } from "@/ui/Unsaved";
import { CreditsAndPrices } from "./CreditsAndPrices";
import {
  changedFields,
  type Field,
  type Form,
  faultsOf,
  formOf,
  isSame,
  overtaken,
  patchOf,
  type Settings,
} from "./form";
import { ModelChoices } from "./ModelChoices";
import { OwnKeys } from "./OwnKeys";
import { Runs } from "./Runs";
import { SaveBar } from "./SaveBar";
import { EditingProvider } from "./SettingRow";
import { WhoPays } from "./WhoPays";

type Plan = Schemas["PlanView"];
type Provider = Schemas["ProviderSwitchView"];

interface Change {
  field: Field;
  from: string;
  to: string;
  /** Somebody else changed it since it was begun to be changed here. */
  overtaken: boolean;
}

/** Everything that the admins of the instance decide for everybody, beside plans and the switches of providers. */
export function Page() {
  // What others change meanwhile shows where nothing is being changed here.
  const settings = useQuery({ ...settingsQuery, refetchInterval: LIVE_MS });
  const plans = useQuery(plansQuery);
  const providers = useQuery(switchesQuery);
  const all = [settings, plans, providers];
  const failed = all.find(({ isLoadingError }) => isLoadingError);
  const retry = () => {
    for (const query of all) if (query.isLoadingError) query.refetch();
  };
  return (
    <PageBody
      title="Settings"
      lead="What holds for everybody on this instance. Changes are saved together, and count from the next call on."
    >
      {failed ? (
        <ErrorState error={failed.error} retry={retry} />
      ) : settings.data && plans.data && providers.data ? (
        <SettingsForm settings={settings.data} plans={plans.data} providers={providers.data} />
      ) : (
        <SkeletonRows rows={6} label="Loading the settings" />
      )}
    </PageBody>
  );
}

function SettingsForm({ settings, plans, providers }: { settings: Settings; plans: Plan[]; providers: Provider[] }) {
  const queries = useQueryClient();
  const [draft, setDraft] = useState<Partial<Form>>({});
  // What was stored of each of them when it was begun to be changed, or when it was last asked about.
  const [begun, setBegun] = useState<Partial<Form>>({});
  const [asking, setAsking] = useState(false);
  // What was asked about stays as it was while the question closes.
  const [asked, setAsked] = useState<Change[]>([]);
  const [refused, setRefused] = useState<{ field: string; detail: string }>();
  const stored = formOf(settings);
  const shown: Form = { ...stored, ...draft };
  const changed = changedFields(shown, stored);
  const faults: Partial<Record<Field, string>> = faultsOf(shown, changed);
  const wrong = Object.keys(faults).length;
  useUnsaved(changed.length > 0);
  const marked = refused ? { ...faults, [refused.field]: refused.detail } : faults;
  const set = <F extends Field>(field: F, value: Form[F]) => {
    setRefused(undefined);
    setBegun((before) => ({ [field]: stored[field], ...before }));
    setDraft((before) => ({ ...before, [field]: value }));
    // What is as it is stored is no change, and follows what others make of it.
    if (!isSame(field, value, stored[field])) return;
    setBegun((before) => without(before, field));
    setDraft((before) => without(before, field));
  };
  const discard = () => {
    setRefused(undefined);
    setBegun({});
    setDraft({});
  };
  /** Tells what would be saved in the place of what is stored now. */
  const tell = (now: Form) => {
    const theirs = overtaken(begun, now, changed);
    setAsked(
      changed.map((field) => ({
        field,
        from: told(now, field),
        to: told(shown, field),
        overtaken: theirs.includes(field),
      })),
    );
    setBegun((before) => ({ ...before, ...Object.fromEntries(changed.map((field) => [field, now[field]])) }));
  };
  const save = async () => {
    try {
      await changeSettings(queries, (current) => {
        const now = formOf(current);
        if (overtaken(begun, now, changed).length > 0) {
          tell(now);
          throw new ApiError(412, OVERTAKEN);
        }
        return patchOf(shown, changed);
      });
    } catch (error) {
      if (error instanceof ApiError && typeof error.details.field === "string")
        setRefused({ field: error.details.field, detail: error.detail });
      throw error;
    }
    discard();
    toast("Settings saved", "They count from the next call.");
    // Switches of providers and how keys are taken follow from them.
    for (const queryKey of [["admin"], ["instance"], ["providers"]]) void queries.invalidateQueries({ queryKey });
  };
  const ask = () => {
    tell(stored);
    setAsking(true);
  };
  const gateways = providers.filter(({ kind, status }) => kind === "gateway" && status === "active");
  return (
    <EditingProvider value={{ shown, stored, faults: marked, set }}>
      {/* What gets the focus is not hidden by the bar below. */}
      <div className="contents [&_button]:scroll-mb-36 [&_input]:scroll-mb-36 [&_textarea]:scroll-mb-36">
        <WhoPays gateways={gateways.map(({ id, name }) => ({ value: id, label: name }))} />
        <OwnKeys />
        <ModelChoices />
        <CreditsAndPrices
          plans={plans.map(({ id, name }) => ({ value: id, label: name }))}
          prices={settings.prices.length}
        />
        <Runs />
      </div>
      <SaveBar changes={changed.length} faults={wrong} onSave={ask} onDiscard={discard} />
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title={`Save ${plural(asked.length, "setting")} for everybody?`}
        action="Save settings"
        onConfirm={save}
      >
        <p>From the next call on, in every workspace of this instance:</p>
        <ul className="flex flex-col gap-1 text-text">
          {asked.map(({ field, from, to, overtaken }) => (
            <li key={field} className="break-words">
              <code className="font-mono text-xs text-soft">{field}</code> {from} →{" "}
              <span className="font-medium">{to}</span>{" "}
              {overtaken && <Badge tone="warn">Changed by somebody else meanwhile</Badge>}
            </li>
          ))}
        </ul>
        <p>Running calls end as they began.</p>
      </ConfirmDialog>
    </EditingProvider>
  );
}

/** As a refusal of the server: it is shown like one. */
const OVERTAKEN = {
  code: "precondition_failed",
  detail: "somebody else changed what you changed; nothing was saved",
  hint: "Save again to put yours in the place of theirs, or cancel, note yours, and discard it to see theirs.",
};

function without(form: Partial<Form>, field: Field): Partial<Form> {
  const { [field]: _, ...rest } = form;
  return rest;
}

/** A value in few words, by the names of the API. */
function told(form: Form, field: Field): string {
  const value = form[field];
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") return value === "" ? "none" : value;
  if (!Array.isArray(value)) {
    const parts = Object.entries(value).filter(([, part]) => part !== "");
    return parts.map(([name, part]) => `${name}: ${part}`).join(", ") || "none";
  }
  if (field === "modes") return (value as string[]).join(", ") || "none";
  return value.length === 0 ? "none" : plural(value.length, "line");
}
