/** Sizes, times and kinds of files, as people read them. */

const UNITS = ['KB', 'MB', 'GB', 'TB'];

/** `1.5 MB`; MB is 2^20 bytes, as in the API. */
export function bytes(count) {
	if (count < 1000) return `${count} B`;
	let value = count / 1024;
	let unit = 0;
	while (value >= 999.5 && unit < UNITS.length - 1) {
		value /= 1024;
		unit += 1;
	}
	return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

const plural = (count, word) => `${count} ${word}${count === 1 ? '' : 's'}`;

/** `12 days`, `3 hours`, `45 seconds`: the largest unit that has two. */
export function span(seconds) {
	if (seconds >= 2 * 86400) return plural(Math.round(seconds / 86400), 'day');
	if (seconds >= 2 * 3600) return plural(Math.round(seconds / 3600), 'hour');
	if (seconds >= 120) return plural(Math.round(seconds / 60), 'minute');
	return plural(Math.max(0, Math.floor(seconds)), 'second');
}

const DAY = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: 'long', timeStyle: 'short' });

/** A moment in Unix seconds: its time today, else its day, with the year if it is another one. */
export function when(seconds, now) {
	const [date, today] = [new Date(seconds * 1000), new Date(now * 1000)];
	if (date.toDateString() === today.toDateString()) return TIME.format(date);
	const year = date.getFullYear();
	return DAY.format(date) + (year === today.getFullYear() ? '' : ` ${year}`);
}

/** The same, in full. */
export const moment = (seconds) => WHOLE.format(new Date(seconds * 1000));

export const count = (number, word) => `${number.toLocaleString()} ${word}${number === 1 ? '' : 's'}`;

/** The last extension of a name, lower case, without the dot; may be empty. */
export function extension(name) {
	const bare = name.toLowerCase().replace(/[.\s]+$/, '');
	const dot = bare.lastIndexOf('.');
	return dot < 0 ? '' : bare.slice(dot + 1);
}

const KINDS = {
	picture: 'png jpg jpeg gif webp svg bmp tif tiff heic avif',
	document: 'pdf doc docx odt rtf epub ppt pptx odp',
	table: 'csv tsv xls xlsx ods parquet',
	code: 'js ts py rb go rs c h cpp cs java php sql css xml json jsonl yaml yml toml ipynb html',
	archive: 'zip tar gz tgz bz2 xz zst 7z rar',
};
const KIND = new Map(Object.entries(KINDS).flatMap(([kind, names]) => names.split(' ').map((name) => [name, kind])));

/** Of which kind a file is, by its name: a class of the style sheet. */
export const kind = (name) => KIND.get(extension(name)) ?? 'other';

/** What its tile says: `PDF`. */
export function label(name) {
	const ending = extension(name);
	return ending && ending.length < 6 ? ending.toUpperCase() : 'FILE';
}
