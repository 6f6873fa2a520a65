/**
 * The API key that the set-up showed, on its way to the guide, whose examples have it in them. It is in the page's memory
 * alone: the state of a navigation would stay in the browser's history.
 */
let kept: { workspace: string; key: string } | undefined;

export function keepFirstKey(workspace: string, key: string): void {
  kept = { workspace, key };
}

export function firstKey(workspace: string): string | undefined {
  return kept?.workspace === workspace ? kept.key : undefined;
}

export function forgetFirstKey(): void {
  kept = undefined;
}
