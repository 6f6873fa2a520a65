import { GripVertical } from "lucide-react";
import { type KeyboardEvent, type PointerEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { cx } from "./cx";
import { moved } from "./order";

/**
 * Rows that can be put in another order: dragged by their handle, or moved with the arrow keys while it has the focus.
 * `onOrder` gets all ids in their new order when a move is done.
 */
export function ReorderList<T extends { id: string }>({
  items,
  name,
  onOrder,
  children,
}: {
  items: T[];
  /** What a row is called when it is announced. */
  name: (item: T) => string;
  onOrder: (ids: string[]) => void;
  children: (item: T, handle: ReactNode) => ReactNode;
}) {
  const list = useRef<HTMLUListElement>(null);
  const [dragged, setDragged] = useState<{ id: string; order: string[] }>();
  const [said, setSaid] = useState("");
  const order = dragged?.order ?? items.map(({ id }) => id);
  // Keys may be pressed faster than a move comes back as the items' new order: the next move starts from the last one.
  const latest = useRef(order);
  const awaited = useRef<string[]>([]);
  const stored = items.map(({ id }) => id).join(" ");
  useEffect(() => {
    const at = awaited.current.indexOf(stored);
    awaited.current = awaited.current.slice(at + 1);
    if (at !== -1) return;
    awaited.current = [];
    latest.current = stored.split(" ");
  }, [stored]);
  const shown = order.flatMap((id) => items.find((item) => item.id === id) ?? []);

  const rowUnder = (y: number): number => {
    const rows = [...(list.current?.children ?? [])];
    const index = rows.findIndex((row) => y < row.getBoundingClientRect().bottom);
    return index === -1 ? rows.length - 1 : index;
  };
  const onPointerDown = (id: string) => (event: PointerEvent<HTMLButtonElement>) => {
    if (event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    setDragged({ id, order });
  };
  const onPointerMove = (event: PointerEvent) => {
    if (!dragged) return;
    const next = moved(dragged.order, dragged.id, rowUnder(event.clientY));
    if (next.some((id, index) => id !== dragged.order[index])) setDragged({ ...dragged, order: next });
  };
  const onPointerUp = () => {
    if (!dragged) return;
    setDragged(undefined);
    if (dragged.order.every((id, index) => id === items[index]?.id)) return;
    latest.current = dragged.order;
    awaited.current.push(dragged.order.join(" "));
    onOrder(dragged.order);
  };
  const onKeyDown = (item: T) => (event: KeyboardEvent) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const to = latest.current.indexOf(item.id) + step;
    if (to < 0 || to >= order.length) return;
    latest.current = moved(latest.current, item.id, to);
    awaited.current.push(latest.current.join(" "));
    onOrder(latest.current);
    setSaid(`${name(item)} is now number ${to + 1} of ${order.length}.`);
  };

  return (
    <>
      <ul ref={list} className="divide-y divide-line">
        {shown.map((item) => (
          <li key={item.id} className={cx(dragged?.id === item.id && "bg-hover")}>
            {children(
              item,
              items.length > 1 && (
                <button
                  type="button"
                  aria-label={`Move ${name(item)}`}
                  title="Drag, or press the arrow keys"
                  onPointerDown={onPointerDown(item.id)}
                  onPointerMove={onPointerMove}
                  onPointerUp={onPointerUp}
                  onPointerCancel={() => setDragged(undefined)}
                  onKeyDown={onKeyDown(item)}
                  className="flex h-8 w-6 touch-none items-center justify-center rounded text-soft hover:bg-hover hover:text-text active:cursor-grabbing"
                >
                  <GripVertical aria-hidden="true" size={16} />
                </button>
              ),
            )}
          </li>
        ))}
      </ul>
      <p aria-live="assertive" className="sr-only">
        {said}
      </p>
    </>
  );
}
