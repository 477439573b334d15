// Numbers for people.

/** For what is not known. */
export const NOTHING = "–";

const digits = (most) => new Intl.NumberFormat("en", { maximumFractionDigits: most, minimumFractionDigits: most });
const [whole, tenths, hundredths] = [digits(0), digits(1), digits(2)];

/** Three digits or more, and no more of them than say something. */
function number(value) {
  return (value >= 100 || value === 0 ? whole : value >= 10 ? tenths : hundredths).format(value);
}

const known = (format) => (value) => (Number.isFinite(value) ? format(value) : NOTHING);

export const count = known((value) => (Number.isInteger(value) ? whole : tenths).format(value));
export const rate = known((value) => `${(value >= 100 || value === 0 ? whole : tenths).format(value)}/s`);
export const seconds = known((value) => (value < 1 ? `${number(value * 1000)} ms` : `${number(value)} s`));
export const memory = known((bytes) => `${number(bytes / 2 ** 20)} MiB`);
export const cores = known((value) => `${hundredths.format(value)} ${value === 1 ? "core" : "cores"}`);

/** What stands beside an axis: round numbers already. */
const round = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
export const onAxis = {
  count: (value) => round.format(value),
  rate: (value) => round.format(value),
  seconds: (value) => (value < 1 ? `${round.format(value * 1000)} ms` : `${round.format(value)} s`),
};

/** The two greatest units of a length of time. */
export const duration = known((value) => {
  const [days, hours, minutes, left] = [value / 86400, (value / 3600) % 24, (value / 60) % 60, value % 60].map(Math.floor);
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${left} s` : `${left} s`;
});
