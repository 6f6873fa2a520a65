import { Link } from "@tanstack/react-router";
import { buttonClass } from "@/ui/Button";
import { ErrorState } from "@/ui/ErrorNote";

/** A path that leads nowhere, or to what is not the caller's: both look the same, as in the API. */
export function NotFound() {
  return (
    <main className="flex min-h-dvh flex-col items-center justify-center gap-3 px-6 text-center">
      <title>Not found · Keybearer</title>
      <p className="font-mono text-sm text-soft">404</p>
      <h1 className="text-xl font-semibold">There is no such page</h1>
      <p className="max-w-md text-soft">
        The address is wrong, what it named is gone, or it is not shared with you. Somebody of that workspace can invite
        you.
      </p>
      <Link to="/" className={`${buttonClass("primary")} mt-2`}>
        Go to my workspaces
      </Link>
    </main>
  );
}

/** A page that could not be made. */
export function Broken({ error }: { error: unknown }) {
  return (
    <main className="mx-auto flex min-h-dvh max-w-lg flex-col justify-center px-6">
      <title>Error · Keybearer</title>
      <h1 className="sr-only">Something went wrong</h1>
      <ErrorState error={error} retry={() => window.location.reload()} />
    </main>
  );
}
