// Preloaded into a process, it makes its clock run wrong by CLOCK_SKEW_MS.
const skewMs = Number(process.env.CLOCK_SKEW_MS ?? 0);
const now = Date.now.bind(Date);
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...args) {
    super(...(args.length === 0 ? [now() + skewMs] : args));
  }

  static now() {
    return now() + skewMs;
  }
};
