import { useMemo, useState } from "react";
import { Combobox, type Entry, type Group, isCalled } from "@/ui/Combobox";
import type { ControlProps } from "@/ui/Field";

/** A choice of the name of a model out of groups, or another name as it is typed. */
export function NamePicker({
  groups,
  anyName,
  ...combobox
}: {
  value: string;
  onChange: (value: string) => void;
  /** The same array from one rendering to the next, as long as it says the same. */
  groups: Group[];
  /** Takes every name that is typed; else those of the form `provider/model`. */
  anyName?: boolean;
  control?: ControlProps;
  label?: string;
  disabled?: boolean;
}) {
  const { value } = combobox;
  const [query, setQuery] = useState("");
  // One that is chosen, and one that is being typed.
  const typed = query.trim();
  const options = useMemo(() => {
    const known = groups.flatMap(({ items }) => items);
    const named = [...new Set([value, typed])].filter(
      (name) =>
        name !== "" &&
        (anyName || name.includes("/")) &&
        !known.some((entry) => entry.value === name || entry.label === name),
    );
    const items: Entry[] = named.map((name) => ({ value: name, label: name, detail: "not listed" }));
    const ordered = exactFirst(groups, typed);
    return items.length > 0 ? [...ordered, { value: "By its name", items }] : ordered;
  }, [groups, value, typed, anyName]);
  return (
    <Combobox
      {...combobox}
      options={options}
      onType={setQuery}
      placeholder={anyName ? "Choose, or type a name" : "Choose, or type provider/model"}
      empty={`No listed model is called like that.${anyName ? "" : " Type provider/model for another."}`}
    />
  );
}

/** What is called just like what was typed stands in front of what begins or ends like it: Enter takes the first. */
export function exactFirst(groups: Group[], typed: string): Group[] {
  const group = groups.find(({ items }) => items.some((item) => isCalled(item, typed)));
  if (!group) return groups;
  const items = [
    ...group.items.filter((item) => isCalled(item, typed)),
    ...group.items.filter((item) => !isCalled(item, typed)),
  ];
  return [{ ...group, items }, ...groups.filter((other) => other !== group)];
}
