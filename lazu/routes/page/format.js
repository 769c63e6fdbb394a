/** Sizes, times and names of files, as people read them. */

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB'];

/** `1.5 MB`; MB is 2^20 bytes, as in the API. */
export function bytes(size) {
	let unit = 0;
	for (; size >= 999.5 && unit < UNITS.length - 1; unit += 1) size /= 1024;
	return `${unit && size < 10 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit]}`;
}

/** `1 file`, `10,000 files` */
export const count = (number, word) => `${number.toLocaleString()} ${word}${number === 1 ? '' : 's'}`;

const SPANS = [[86400, 'day'], [3600, 'hour'], [60, 'minute']];

/** `12 days`, `3 hours`, `45 seconds`: the largest unit that has two. */
export function span(seconds) {
	const [unit, word] = SPANS.find(([each]) => seconds >= 2 * each) ?? [1, 'second'];
	return count(Math.round(seconds / unit), word);
}

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: 'long', timeStyle: 'short' });

const dated = (seconds) => new Date(seconds * 1000);

/** A moment in Unix seconds, in full. */
export const moment = (seconds) => WHOLE.format(dated(seconds));

/** The same in short: its time today, else its day. */
export const when = (seconds, now) => (dated(seconds).toDateString() === dated(now).toDateString() ? TIME : DAY).format(dated(seconds));

/** The last extension of a name, lower case, without the dot; may be empty. */
export const extension = (name) => /\.([^.]*?)[.\s]*$/.exec(name.toLowerCase())?.[1] ?? '';

/** What its tile says: `PDF`. */
export function label(name) {
	const ending = extension(name);
	return ending && ending.length < 6 ? ending.toUpperCase() : 'FILE';
}
