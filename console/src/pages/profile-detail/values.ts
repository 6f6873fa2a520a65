/** A value of a setting or of a plan, as text: `yes`, `managed, byok`, `none`. `undefined`: nothing is there. */
export function valueText(value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.map((one) => valueText(one) ?? "–").join(", ");
  if (typeof value === "object") {
    const fields = Object.entries(value).map(([name, one]) => `${name}: ${valueText(one) ?? "–"}`);
    return fields.length === 0 ? "none" : fields.join("; ");
  }
  return String(value);
}

/** Where a value stands, in two parts: of what (`Settings`, `Plan free`), and its path in there. */
export function placeOf(path: string): { of: string; name: string } {
  const [root = "", first = "", ...rest] = path.split(".");
  if (root !== "plans") return { of: "Settings", name: path.replace(/^settings\./, "") };
  return { of: `Plan ${first}`, name: rest.join(".") || "the whole plan" };
}
