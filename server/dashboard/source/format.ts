// Numbers as people read them, with their units. What is not known is NONE.

export const NONE = "–";

function significant(value: number, digits: number): string {
  if (value === 0) return "0";
  // After rounding: 0.9999 may become 1.00.
  const magnitude = Math.floor(Math.log10(Math.abs(Number(value.toPrecision(digits)))));
  if (magnitude < -4 || magnitude > 8) return value.toExponential(Math.max(0, digits - 1));
  return value.toFixed(Math.max(0, Math.min(12, digits - 1 - magnitude)));
}

// Digits in groups of three, with narrow spaces that keep together.
export function whole(value: number): string {
  if (!Number.isFinite(value)) return NONE;
  return Math.round(value).toString().replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

// A loss, an accuracy or a learning rate; NaN and infinities are told as such.
export function figure(value: number, digits = 4): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  return significant(value, digits);
}

// The same without zeros at its end: a setting, or a tick of an axis.
export function short(value: number): string {
  if (Number.isFinite(value) && Math.abs(value) >= 1000) return whole(value);
  return figure(value, 4).replace(/(\.\d*?)0+(?=e|$)/, "$1").replace(/\.(?=e|$)/, "");
}

export function rate(value: number, unit: string): string {
  if (!Number.isFinite(value)) return NONE;
  return `${value >= 100 ? whole(value) : significant(value, 3)} ${unit}`;
}

export function bytes(value: number): string {
  if (!Number.isFinite(value)) return NONE;
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit + 1 < units.length) {
    value /= 1000;
    ++unit;
  }
  return `${unit === 0 ? Math.round(value) : significant(value, 3)} ${units[unit]}`;
}

export function percent(share: number): string {
  if (!Number.isFinite(share)) return NONE;
  return `${Math.round(100 * share)} %`;
}

export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return NONE;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const rounded = Math.round(seconds);
  if (rounded < 60) return `${rounded} s`;
  if (rounded < 3600) return `${Math.floor(rounded / 60)} min ${rounded % 60} s`;
  if (rounded < 48 * 3600) return `${Math.floor(rounded / 3600)} h ${Math.floor((rounded % 3600) / 60)} min`;
  return `${Math.floor(rounded / 86400)} d ${Math.floor((rounded % 86400) / 3600)} h`;
}

// The time of the day, with the date if it is not that of `now`.
export function clock(unixMs: number, now: number): string {
  const date = new Date(unixMs);
  const two = (value: number): string => value.toString().padStart(2, "0");
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  if (date.toDateString() === new Date(now).toDateString()) return time;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}
