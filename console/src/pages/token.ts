const inAddress = () => new URLSearchParams(window.location.hash.slice(1)).get("token");

/**
 * The credential of a link, which stands behind `#token=`. It is taken out of the address bar and the history. A second link
 * in the same tab changes nothing but that, so the browser would not load the page for it.
 */
export function takeToken(): string | undefined {
  window.addEventListener("hashchange", () => inAddress() !== null && window.location.reload());
  const token = inAddress();
  if (token === null) return undefined;
  window.history.replaceState(window.history.state, "", window.location.pathname + window.location.search);
  return token;
}
