import { Plus, Trash2 } from "lucide-react";
import { useId } from "react";
import { Button, IconButton } from "@/ui/Button";
import { inputClass } from "@/ui/Field";
import { ReorderList } from "@/ui/Reorder";
import type { Row } from "./form";

interface Column<T extends Row> {
  name: Exclude<keyof T, "id"> & string;
  label: string;
  placeholder: string;
  /** Whether it is a number. */
  decimal?: true;
}

let made = 0;

/** Rules in the order in which they count: each a row of texts, moved by its handle, added and removed. */
export function Rules<T extends Row>({
  rows,
  onChange,
  columns,
  what,
  blank,
  most,
  none,
}: {
  rows: T[];
  onChange: (rows: T[]) => void;
  columns: Column<T>[];
  /** One of them, such as `mapping`. */
  what: string;
  blank: Omit<T, "id">;
  /** How many there may be. */
  most: number;
  /** What it means that there is none. */
  none: string;
}) {
  const id = useId();
  const add = () => {
    made += 1;
    onChange([...rows, { ...blank, id: `n${made}` } as T]);
  };
  const numbers = new Map(rows.map((row, index) => [row.id, index + 1]));
  const edit = (row: T, name: string, text: string) =>
    onChange(rows.map((other) => (other.id === row.id ? { ...other, [name]: text } : other)));
  return (
    <div className="flex flex-col items-start gap-3">
      {rows.length === 0 ? (
        <p className="text-soft">{none}</p>
      ) : (
        <div className="w-full rounded-md border border-line">
          <ReorderList
            items={rows}
            name={(row) => `${what} ${numbers.get(row.id)}`}
            onOrder={(ids) => onChange(ids.flatMap((next) => rows.find((row) => row.id === next) ?? []))}
          >
            {(row, handle) => (
              <div className="flex items-end gap-2 p-3">
                {handle && <div className="shrink-0 pb-0.5">{handle}</div>}
                <div className="grid min-w-0 flex-1 grid-cols-[repeat(auto-fit,minmax(7rem,1fr))] gap-2">
                  {columns.map((column) => (
                    <div key={column.name} className="min-w-0">
                      <label htmlFor={`${id}-${row.id}-${column.name}`} className="mb-1 block text-xs text-soft">
                        {column.label}
                        <span className="sr-only">
                          {" "}
                          of {what} {numbers.get(row.id)}
                        </span>
                      </label>
                      <input
                        id={`${id}-${row.id}-${column.name}`}
                        className={inputClass}
                        value={String(row[column.name])}
                        placeholder={column.placeholder}
                        inputMode={column.decimal && "decimal"}
                        maxLength={256}
                        autoComplete="off"
                        spellCheck={false}
                        onChange={(event) => edit(row, column.name, event.target.value)}
                      />
                    </div>
                  ))}
                </div>
                <IconButton
                  label={`Remove ${what} ${numbers.get(row.id)}`}
                  className="mb-0.5"
                  onClick={() => onChange(rows.filter((other) => other.id !== row.id))}
                >
                  <Trash2 size={16} />
                </IconButton>
              </div>
            )}
          </ReorderList>
        </div>
      )}
      <Button size="small" onClick={add} disabled={rows.length >= most}>
        <Plus aria-hidden="true" size={14} /> Add {what}
      </Button>
    </div>
  );
}
