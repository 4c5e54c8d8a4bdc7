// Dark or light: as the system says, until somebody chooses.
const KEY = "samovar-theme";

function stored(): string {
  try {
    return localStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

export function isDark(): boolean {
  const chosen = document.documentElement.dataset["theme"];
  return chosen === undefined ? matchMedia("(prefers-color-scheme: dark)").matches : chosen === "dark";
}

export function startTheme(onChange: () => void): void {
  const chosen = stored();
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset["theme"] = chosen;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
}

export function toggleTheme(): void {
  const wanted = isDark() ? "light" : "dark";
  document.documentElement.dataset["theme"] = wanted;
  try {
    localStorage.setItem(KEY, wanted);
  } catch {
    // It lasts as long as the page.
  }
}
