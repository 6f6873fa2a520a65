// Runs before the first paint, so that a chosen theme does not flash. `src/ui/theme.ts` writes the choice.
try {
  const theme = localStorage.getItem("keybearer-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // A browser that keeps nothing follows the system.
}
