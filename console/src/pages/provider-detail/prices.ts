import type { Schemas } from "@/api/client";

export type Override = Schemas["PriceOverride"];
export type Price = Schemas["Price"];
type Rates = Schemas["PriceRates"];

/** Rates as they are typed; empty: left out. */
export interface TypedRates {
  input: string;
  output: string;
  cache_read: string;
  cache_write: string;
  request: string;
}

export interface TypedBracket extends TypedRates {
  /** Tells it apart while the form is open. */
  id: number;
  over: string;
}

export const NO_RATES: TypedRates = { input: "", output: "", cache_read: "", cache_write: "", request: "" };

export function typedRates(rates: Rates | Price): TypedRates {
  return {
    input: rates.input,
    output: rates.output,
    cache_read: rates.cache_read ?? "",
    cache_write: rates.cache_write ?? "",
    request: rates.request ?? "",
  };
}

export function typedBrackets(price: Price): TypedBracket[] {
  return (price.brackets ?? []).map(({ over_input_tokens, rates }, id) => ({
    id,
    over: String(over_input_tokens),
    ...typedRates(rates),
  }));
}

const RATE = /^\d{1,9}(\.\d{1,9})?$/;

/** The price that was typed, or what is wrong with it. */
export function typedPrice(typed: TypedRates, brackets: TypedBracket[]): Price | string {
  const base = rates(typed);
  if (typeof base === "string") return base;
  const above: Schemas["PriceBracket"][] = [];
  for (const bracket of brackets) {
    const over = bracket.over.replaceAll(",", "").trim();
    if (!/^\d{1,12}$/.test(over)) return "Each bracket says from how many input tokens on it holds, as a whole number.";
    if (above.some((other) => other.over_input_tokens === Number(over)))
      return `Two brackets begin over ${over} tokens.`;
    const its = rates(bracket);
    if (typeof its === "string") return its;
    above.push({ over_input_tokens: Number(over), rates: its });
  }
  return { ...base, ...(above.length > 0 ? { brackets: above } : {}) };
}

function rates(typed: TypedRates): Rates | string {
  const given: Partial<Rates> = {};
  for (const name of ["input", "output", "cache_read", "cache_write", "request"] as const) {
    const text = typed[name].trim();
    if (text === "" && (name === "input" || name === "output"))
      return "A rate for input and one for output are needed.";
    if (text === "") continue;
    if (!RATE.test(text))
      return "Rates are amounts in US dollars such as 1.25, with at most nine digits behind the point.";
    given[name] = text;
  }
  return given as Rates;
}
