/** The credential of a link, which stands behind `#token=`. It is taken out of the address bar and the history. */
export function takeToken(): string | undefined {
  const token = new URLSearchParams(window.location.hash.slice(1)).get("token");
  if (token === null) return undefined;
  window.history.replaceState(window.history.state, "", window.location.pathname + window.location.search);
  return token;
}
