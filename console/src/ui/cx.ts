import clsx, { type ClassValue } from "clsx";

/** Class names, those that hold. */
export function cx(...values: ClassValue[]): string {
  return clsx(values);
}
