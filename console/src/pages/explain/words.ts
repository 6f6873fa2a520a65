import type { Schemas } from "@/api/client";
import { sentence } from "@/api/error";
import { usd } from "@/format/money";

type Step = Schemas["StepView"];
type Target = Schemas["TargetView"];

/** What each rule of the decision table asks. */
const RULES: Record<number, string> = {
  1: "Is the API key valid?",
  2: "May it call models?",
  3: "Which model?",
  4: "May own keys serve at all?",
  5: "Is there room?",
  6: "Is a provider of the model switched on?",
  7: "Which mode counts?",
  8: "Are own keys switched on for the provider?",
  9: "Which own keys serve?",
  10: "Is there none?",
  11: "May credits pay?",
  12: "Has the instance a key for it?",
  13: "Is the price known, and does the balance bear it?",
  14: "Does the provider answer?",
  15: "The call is recorded",
};

export function ruleText(rule: number): string {
  return RULES[rule] ?? `Rule ${rule}`;
}

const VERDICTS: Record<Step["verdict"], string> = {
  applies: "counts",
  serves: "may serve",
  serves_last: "may serve after everything else failed",
  disabled: "is disabled",
  dormant: "is dormant: the account's plan lets no own key serve",
  rests: "rests: own keys are switched off for its provider",
  removed: "was removed",
  not_known: "is known by no provider that is switched on",
  not_offered: "is not offered by the instance",
  switched_off: "is switched off",
  byok_switched_off: "has own keys switched off",
  byok_required: "lets own keys alone serve",
  byok_forbidden: "lets no own key serve",
  consents: "lets credits step in after own keys failed",
  no_consent: "does not let credits step in",
  not_allowed: "does not let credits step in",
  no_platform_key: "is missing: the instance has no key for any provider of the model",
};

/** A step as a sentence. `names` has providers' names by their ids. */
export function stepText({ subject, verdict }: Step, names: Map<string, string>): string {
  const provider = subject.provider ? (names.get(subject.provider) ?? subject.provider) : "";
  const who = {
    request: "the request",
    model: "the model",
    mode: `the mode ${subject.mode ?? ""}`.trim(),
    workspace: "the workspace",
    instance: "the instance",
    provider,
    key: `own key ${subject.key_label ?? ""} of ${provider}`.replace("  ", " "),
    platform_key: "a key of the instance",
  }[subject.kind];
  return sentence(`${who} ${VERDICTS[verdict] ?? verdict}`);
}

/** What a ranking looked at, of one way to serve. */
export function rankText(rank: Schemas["RankView"]): string {
  const cost =
    rank.cost_nano_usd === null ? "price not known" : `${usd(rank.cost_nano_usd)} for 3000 tokens in and 1000 out`;
  const millis = (measured: number | null) => (measured === null ? "not measured lately" : `${measured} ms`);
  const tokens = rank.output_tokens_per_second;
  const output = tokens === null ? "not measured lately" : `${tokens} tokens/s`;
  return `${cost}; first byte: ${millis(rank.first_byte_ms)}; whole answer: ${millis(rank.answer_ms)}; output: ${output}`;
}

export const WHEN: Record<Target["when"], string> = {
  in_turn: "if those before it fail in a way that lets another key try",
  own_keys_failed: "if own keys fail, unless a provider turned one away, within the cap of the policy",
  own_keys_failed_or_denied: "if own keys fail or are turned away, within the cap of the policy",
};

const REFUSALS: Record<string, string> = {
  model_not_chosen: "Nobody chose a model: name one, or set a default for the API key or the workspace.",
  model_not_found: "No provider of the instance serves that model. Write it as provider/model.",
  plan_required: "The account's plan does not include the tier.",
  byok_key_missing: "There is no own key for the model. Add one on the page Keys.",
  byok_key_disabled: "Every own key that could serve is disabled. Enable one on the page Keys.",
  byok_key_revoked: "The own key that served the model was removed. Add another one on the page Keys.",
  byok_key_dormant: "There is an own key, and the account's plan lets none serve.",
  byok_disabled_for_provider: "Own keys for the provider are switched off in this instance.",
  byok_forbidden: "Only own keys could serve, and the workspace forbids them.",
  byok_required: "Only credits could pay, and the request or the workspace forbids them.",
  managed_unavailable: "Credits would pay, and the instance has no key for the model. Add an own key.",
  mode_not_offered: "The instance does not offer the workspace's mode.",
};

export function refusalText(code: string): string {
  return REFUSALS[code] ?? "Nothing can serve this call.";
}

const CHOSEN_BY: Record<string, string> = {
  request: "named by the request",
  conversation: "chosen by the conversation",
  api_key: "the default of the API key",
  workspace: "chosen by the workspace's policy",
  instance: "chosen by the instance's settings",
};

export function chosenByText(by: string | null | undefined): string | undefined {
  return by ? (CHOSEN_BY[by] ?? by) : undefined;
}
