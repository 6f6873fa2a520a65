/** The dialogs of keys, fetched when the first one is opened: the console opens on Keys, and its first page is to be small. */
import { type ComponentProps, lazy, Suspense } from "react";

const Add = lazy(async () => ({ default: (await import("./AddKeyDialog")).AddKeyDialog }));
const Edit = lazy(async () => ({ default: (await import("./EditKeyDialog")).EditKeyDialog }));
const Rotate = lazy(async () => ({ default: (await import("./RotateKeyDialog")).RotateKeyDialog }));
const Prices = lazy(async () => ({ default: (await import("./PricesDialog")).PricesDialog }));

export function AddKeyDialog(props: ComponentProps<typeof Add>) {
  return (
    <Suspense fallback={null}>
      <Add {...props} />
    </Suspense>
  );
}

export function EditKeyDialog(props: ComponentProps<typeof Edit>) {
  return (
    <Suspense fallback={null}>
      <Edit {...props} />
    </Suspense>
  );
}

export function RotateKeyDialog(props: ComponentProps<typeof Rotate>) {
  return (
    <Suspense fallback={null}>
      <Rotate {...props} />
    </Suspense>
  );
}

export function PricesDialog(props: ComponentProps<typeof Prices>) {
  return (
    <Suspense fallback={null}>
      <Prices {...props} />
    </Suspense>
  );
}
