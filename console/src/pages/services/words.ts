import type { Script, Service } from "./queries";

/** When a script runs. */
export const RUNS: Record<Script["run_on"], { label: string; detail: string }> = {
  every_start: { label: "At every start", detail: "Each time the workspace is started on a machine" },
  first_boot: { label: "Once on each machine", detail: "At the first start at which it is there" },
};

/** What happens when a service ends by itself. */
export const RESTARTS: Record<Service["restart"], { label: string; detail: string }> = {
  "on-failure": { label: "After a failure", detail: "Started again unless it ended with the exit code 0" },
  always: { label: "Always", detail: "Started again whichever way it ended" },
  no: { label: "Never", detail: "Stays ended" },
};

export const optionsOf = <T extends string>(words: Record<T, { label: string; detail: string }>) =>
  (Object.entries(words) as [T, { label: string; detail: string }][]).map(([value, rest]) => ({ value, ...rest }));

/** The most of each that a workspace has. */
export const MOST = 50;
