import { expect, it } from "vitest";
import { envOf, variablesOf } from "./variables";

it("variables are read as they were written, each once", () => {
  const env = { PORT: "8080", TEXT: "two\nlines", EMPTY: "" };
  expect(envOf(variablesOf(env))).toEqual(env);
  expect(
    envOf([
      { id: 1, name: " PORT ", value: " 1 " },
      { id: 2, name: "", value: "" },
    ]),
  ).toEqual({ PORT: " 1 " });
  expect(envOf([{ id: 1, name: "", value: "x" }])).toBe("A variable has no name.");
  const twice = [1, 2].map((id) => ({ id, name: "PORT", value: "" }));
  expect(envOf(twice)).toBe("There are two variables PORT.");
});
