const CENTS = new Intl.NumberFormat('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const SMALL = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 2, maximumFractionDigits: 10 });
const THREE_DIGITS = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 3 });
const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** Dollars: "$1,234.50"; below ten cents to two significant digits, so that little is not shown as nothing. */
export function formatUsd(usd: number): string {
  if (!Number.isFinite(usd)) return '–';
  return `$${usd !== 0 && Math.abs(usd) < 0.1 ? SMALL.format(usd) : CENTS.format(usd)}`;
}

/** An amount with its unit: "1,234 requests", "0.0213 hours". */
export function formatQuantity(amount: number, unit: string): string {
  return `${(amount < 1000 ? THREE_DIGITS : WHOLE).format(amount)} ${unit}`;
}
