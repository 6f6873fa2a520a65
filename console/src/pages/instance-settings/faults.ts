import type { Field, Form } from "./form";

/** What is wrong with a value, in words that say what would fit. */
export type Fault = string;

const isWhole = (text: string, most: number, least = 0) =>
  /^\d{1,10}$/.test(text.trim()) && Number(text) >= least && Number(text) <= most;

/** A decimal that is not negative, with at most nine digits behind the point. */
const isDecimal = (text: string, most: number) => /^\d{1,9}(\.\d{1,9})?$/.test(text.trim()) && Number(text) <= most;

const anyEmpty = (rows: object[], optional: string[] = []) =>
  rows.some((row) =>
    Object.entries(row).some(([name, value]) => !optional.includes(name) && String(value).trim() === ""),
  );

const MOST_TOKENS = 4_294_967_295;

/** What does not fit, by the rules of the server that a form can know; the server checks all of them again. */
export function faultOf(form: Form, field: Field): Fault | undefined {
  switch (field) {
    case "modes":
      return form.modes.length === 0 ? "Offer at least one mode." : undefined;
    case "new_workspace_mode": {
      const mode = form.new_workspace_mode;
      return mode === "" || form.modes.includes(mode) ? undefined : "Choose a mode that is offered.";
    }
    case "default_level":
      if (form.default_level.trim() === "" || isWhole(form.default_level, 9999)) return undefined;
      return "A whole number from 0 to 9999, or nothing.";
    case "held_output_tokens":
      if (form.held_output_tokens.trim() === "" || isWhole(form.held_output_tokens, MOST_TOKENS)) return undefined;
      return "A whole number up to 4,294,967,295, or nothing.";
    case "run_step_timeout_ms":
      return isWhole(form.run_step_timeout_ms, 3_600_000, 1000) ? undefined : "A whole number from 1000 to 3,600,000.";
    case "run_retention_days":
      return isWhole(form.run_retention_days, 3650, 1) ? undefined : "A whole number from 1 to 3650.";
    case "credit_factor":
      return isDecimal(form.credit_factor, 1000) ? undefined : "A number from 0 to 1000, such as 1 or 1.25.";
    case "tiers": {
      const chained = Object.values(form.tiers).some((model) =>
        /^(level_[123]|embeddings|managed)$/.test(model.trim()),
      );
      return chained ? "A tier stands for a model, not for another tier." : undefined;
    }
    case "model_mappings":
      return anyEmpty(form.model_mappings) ? "Each mapping has a name and a model." : undefined;
    case "level_mappings":
      if (anyEmpty(form.level_mappings)) return "Each line has a name and a level.";
      return form.level_mappings.every(({ level }) => isWhole(level, 9999))
        ? undefined
        : "A level is a whole number from 0 to 9999.";
    case "credit_ratios":
      return ratioFault(form.credit_ratios);
    case "image_models":
      if (anyEmpty(form.image_models)) return "Each line has a provider, a model and what a picture costs.";
      return form.image_models.every(({ credits_per_image }) => isDecimal(credits_per_image, 1_000_000))
        ? undefined
        : "What a picture costs is a number from 0 to 1,000,000.";
    default:
      return undefined;
  }
}

function ratioFault(ratios: Form["credit_ratios"]): Fault | undefined {
  if (anyEmpty(ratios, ["credits_per_call"])) return "Each rule has a provider, a model, an operation and a ratio.";
  if (!ratios.every(({ ratio }) => isDecimal(ratio, 1000))) return "A ratio is a number from 0 to 1000.";
  const perCall = ratios.map(({ credits_per_call }) => credits_per_call.trim()).filter(Boolean);
  if (!perCall.every((credits) => isDecimal(credits, 1_000_000)))
    return "Credits for each call are a number from 0 to 1,000,000, or nothing.";
  const last = ratios.at(-1);
  if (last && [last.provider, last.model, last.operation].some((pattern) => pattern.trim() !== "*"))
    return "The last rule has * for provider, model and operation, so that every call is covered.";
  return undefined;
}
