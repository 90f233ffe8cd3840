import type { Interval } from '#core/quote/quote.ts';

const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const ONE_DECIMAL = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 });
const FOUR_DIGITS = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 4 });

/** 1234567 as "1,234,567". */
export function formatCount(count: number): string {
  return Number.isFinite(count) ? WHOLE.format(count) : '–';
}

/** A count with its noun: "1 image", "2,000 images". */
export function formatCountOf(count: number, singular: string, plural = `${singular}s`): string {
  return `${formatCount(count)} ${count === 1 ? singular : plural}`;
}

/** A measure or score, to four significant digits. */
export function formatMeasure(value: number): string {
  return Number.isFinite(value) ? FOUR_DIGITS.format(value) : '–';
}

/** A share of a whole in percent. Never rounds to "0%" what is not zero, nor to "100%" what is not all. */
export function formatShare(part: number, whole: number): string {
  if (!(whole > 0) || !(part > 0)) return '0%';
  const percent = (100 * part) / whole;
  if (percent < 0.1) return '<0.1%';
  if (percent > 99.9 && part < whole) return '>99.9%';
  return `${ONE_DECIMAL.format(percent)}%`;
}

/** Bytes in binary units: "3.4 MiB". */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return Number.isFinite(value) ? `${ONE_DECIMAL.format(value)} ${units[unit]}` : '–';
}

/** Seconds as people say them: "0.8 s", "1 min 32 s", "3 h 5 min". */
export function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 60) return `${ONE_DECIMAL.format(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${formatCount(Math.floor(whole / 3600))} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** "12 s (10 s to 14 s)"; alone where both ends read the same, as of a source that was seen whole. */
export function formatInterval({ estimate, low, high }: Interval, format: (value: number) => string): string {
  const [from, to] = [format(low), format(high)];
  return from === to ? format(estimate) : `${format(estimate)} (${from} to ${to})`;
}

/** Images per second, with a decimal only where it matters. */
export function formatRate(imagesPerSecond: number): string {
  if (!Number.isFinite(imagesPerSecond)) return '–';
  return (imagesPerSecond < 100 ? ONE_DECIMAL : WHOLE).format(imagesPerSecond);
}

/** An ISO time as "12 Mar 2026, 14:03 UTC"; anything else as it came. */
export function formatTime(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  const text = time.toLocaleString('en-GB', {
    timeZone: 'UTC',
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
  });
  return `${text} UTC`;
}

/** The day of an ISO time, UTC: "21 Nov 2026". */
export function formatDay(iso: string): string {
  return formatTime(iso).split(',')[0] ?? iso;
}

/** `odd_aspect_ratio` as "odd aspect ratio". */
export function words(name: string): string {
  return name.replaceAll('_', ' ');
}

/** `odd_aspect_ratio` as "Odd aspect ratio". */
export function titleOf(name: string): string {
  const text = words(name);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** At most `maxCharacters`, the middle left out, because both ends of a key tell it from others. */
export function shorten(text: string, maxCharacters: number): string {
  const characters = [...text];
  if (characters.length <= maxCharacters) return text;
  const head = Math.ceil((maxCharacters - 1) / 2);
  const tail = maxCharacters - 1 - head;
  return `${characters.slice(0, head).join('')}…${characters.slice(characters.length - tail).join('')}`;
}
