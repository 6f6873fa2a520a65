import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback } from "react";

export type Filters<Name extends string> = Partial<Record<Name, string>>;

/**
 * What of a page's address says what is shown, by name, and the way to change it: `undefined` takes a name out. It takes
 * the place of the address before it, so that going back leaves the page.
 */
export function useFilters<Name extends string>(
  names: readonly Name[],
): [Filters<Name>, (patch: Filters<Name>) => void] {
  const search = useSearch({ strict: false }) as Record<string, unknown>;
  const navigate = useNavigate();
  const filters: Filters<Name> = {};
  for (const name of names) {
    const value = search[name];
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
      filters[name] = String(value);
  }
  const change = useCallback(
    (patch: Filters<Name>) => {
      const next = (before: Record<string, unknown>) => {
        const after: Record<string, unknown> = { ...before };
        for (const [name, value] of Object.entries(patch)) {
          if (value === undefined || value === "") delete after[name];
          // A number as a number: as a text it would stand in quotation marks.
          else after[name] = /^[1-9]\d{0,8}$/.test(String(value)) ? Number(value) : value;
        }
        return after;
      };
      navigate({ to: ".", search: next as never, replace: true, resetScroll: false });
    },
    [navigate],
  );
  return [filters, change];
}
