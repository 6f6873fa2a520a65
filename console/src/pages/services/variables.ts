/** A variable as it is typed. */
export interface Variable {
  id: number;
  name: string;
  value: string;
}

export const variablesOf = (env: Record<string, string>): Variable[] =>
  Object.entries(env).map(([name, value], id) => ({ id, name, value }));

/** The variables as the server takes them; a text says what is wrong. Lines without a name and a value are none. */
export function envOf(variables: Variable[]): Record<string, string> | string {
  const env: Record<string, string> = {};
  for (const { name, value } of variables) {
    const called = name.trim();
    if (called === "" && value === "") continue;
    if (called === "") return "A variable has no name.";
    if (called in env) return `There are two variables ${called}.`;
    env[called] = value;
  }
  return env;
}
