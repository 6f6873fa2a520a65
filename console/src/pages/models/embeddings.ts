import type { Schemas } from "@/api/client";
import type { Entry, Group } from "@/ui/Combobox";

/**
 * Models that make vectors of texts. The lists of providers have models that write alone, so that nobody chats with one of
 * these; the names are those of the price catalog.
 */
const KNOWN: Record<string, string[]> = {
  openai: ["text-embedding-3-small", "text-embedding-3-large"],
  google: ["gemini-embedding-001"],
  mistral: ["mistral-embed", "codestral-embed"],
  cohere: ["embed-v4.0"],
};

type Provider = Pick<Schemas["ProviderView"], "id" | "formats">;

/** What can be chosen for embeddings: what stands before all, then known models of the providers that serve such calls. */
export function embeddingGroups(first: Entry[], providers: Provider[]): Group[] {
  const items = providers
    .filter(({ formats }) => formats.includes("openai_embeddings"))
    .flatMap(({ id }) => (KNOWN[id] ?? []).map((model) => `${id}/${model}`))
    .map((value) => ({ value, label: value }));
  const groups = [
    { value: "Left open", items: first },
    { value: "Known models for embeddings", items },
  ];
  return groups.filter((group) => group.items.length > 0);
}
