import { Search } from "lucide-react";
import { cx } from "./cx";
import { inputClass } from "./Field";

/** Narrows a list by what is typed. */
export function SearchField({
  label,
  value,
  onChange,
}: {
  label: string;
  value: string;
  onChange: (text: string) => void;
}) {
  return (
    <div className="relative w-full max-w-sm">
      <Search aria-hidden="true" size={16} className="absolute top-1/2 left-3 -translate-y-1/2 text-soft" />
      <input
        type="search"
        aria-label={label}
        placeholder={label}
        value={value}
        maxLength={254}
        onChange={(event) => onChange(event.target.value)}
        className={cx(inputClass, "pl-9")}
      />
    </div>
  );
}
