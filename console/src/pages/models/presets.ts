import type { Schemas } from "@/api/client";

export type Presets = Schemas["PolicyView"]["presets"];
type Effort = NonNullable<NonNullable<Presets[string]["parameters"]>["reasoning_effort"]>;

/** A preset as it is typed. */
export interface Line {
  id: number;
  name: string;
  /** Names of models, apart by commas or line ends. */
  models: string;
  temperature: string;
  topP: string;
  maxTokens: string;
  effort: string;
  prompt: string;
}

export const EFFORTS: Record<Effort, string> = { low: "Low", medium: "Medium", high: "High" };

const empty = { name: "", models: "", temperature: "", topP: "", maxTokens: "", effort: "", prompt: "" };

export const newLine = (id: number): Line => ({ id, ...empty });

/** The presets of a policy, in the order of their names. */
export function linesOf(presets: Presets): Line[] {
  return Object.entries(presets).map(([name, { models, parameters }], id) => ({
    id,
    name,
    models: models.join(", "),
    temperature: parameters?.temperature ?? "",
    topP: parameters?.top_p ?? "",
    maxTokens: parameters?.max_tokens?.toString() ?? "",
    effort: parameters?.reasoning_effort ?? "",
    prompt: parameters?.system_prompt ?? "",
  }));
}

/** As the server counts it: one letter of many alphabets is more than one byte. */
const MAX_PROMPT_BYTES = 4096;

const namesIn = (models: string) => models.split(/[\s,]+/).filter(Boolean);

/** A fault of what was typed, and the field that has it. */
export interface Fault {
  id: number;
  field: keyof typeof empty;
  says: string;
}

/** What is wrong with the first preset that is wrong. The server has the last word on names of models. */
export function faultIn(lines: Line[]): Fault | undefined {
  for (const [at, { id, name, models, temperature, topP, maxTokens, prompt }] of lines.entries()) {
    const wrong = (field: Fault["field"], says: string) => ({ id, field, says });
    if (!/^[a-z0-9][a-z0-9._-]{0,63}$/.test(name.trim()))
      return wrong("name", "A name has up to 64 of a-z, 0-9, -, _ and ., and begins with a letter or a digit.");
    if (lines.slice(0, at).some((other) => other.name.trim() === name.trim()))
      return wrong("name", "Another preset has this name.");
    const names = namesIn(models);
    if (names.length < 1 || names.length > 8) return wrong("models", "A preset has one to eight models.");
    if (new Set(names).size < names.length) return wrong("models", "A preset names each model once.");
    if (!isWithin(temperature, 2)) return wrong("temperature", "A temperature is a number from 0 to 2.");
    if (!isWithin(topP, 1)) return wrong("topP", "Top p is a number from 0 to 1.");
    if (maxTokens.trim() !== "" && !(/^\d{1,7}$/.test(maxTokens.trim()) && isWithin(maxTokens, 1_000_000, 1)))
      return wrong("maxTokens", "The most output tokens are a whole number from 1 to 1000000.");
    if (new TextEncoder().encode(prompt.trim()).length > MAX_PROMPT_BYTES)
      return wrong("prompt", `A system prompt has at most ${MAX_PROMPT_BYTES} bytes as UTF-8.`);
  }
  return undefined;
}

function isWithin(text: string, most: number, least = 0): boolean {
  const number = text.trim();
  return number === "" || (/^\d+(\.\d{1,9})?$/.test(number) && Number(number) >= least && Number(number) <= most);
}

/**
 * What turns the presets that were edited into these: a merge patch, in which `null` takes out what was taken out. It
 * names nothing else, so that what somebody else changed or added meanwhile stays.
 */
export function patchOf(base: Presets, lines: Line[]) {
  const before = new Map(linesOf(base).map((line) => [line.name, JSON.stringify(storedOf(line))]));
  const names = new Set(lines.map(({ name }) => name.trim()));
  const gone = [...before.keys()].filter((name) => !names.has(name)).map((name) => [name, null]);
  const changed = lines
    .map((line) => [line.name.trim(), storedOf(line)] as const)
    .filter(([name, stored]) => before.get(name) !== JSON.stringify(stored));
  // The types of the document do not say what `null` means in a merge patch.
  return Object.fromEntries([...gone, ...changed]) as unknown as Presets;
}

function storedOf(line: Line) {
  const or = (text: string) => text.trim() || null;
  const parameters = {
    temperature: or(line.temperature),
    top_p: or(line.topP),
    max_tokens: line.maxTokens.trim() ? Number(line.maxTokens) : null,
    reasoning_effort: or(line.effort),
    system_prompt: or(line.prompt),
  };
  return { models: namesIn(line.models), parameters };
}
