/** What every view shows of a file. */

import { now } from './api.js';
import { make } from './dom.js';
import { bytes, label, span } from './format.js';

/** `gone in 12 days`. */
export const gone = (file) => (file.expires_at > now() ? `gone in ${span(file.expires_at - now())}` : 'gone');

export const summary = (file) => `${bytes(file.bytes)} · ${gone(file)} · ${file.purpose}`;

/** The square that says what a file is, each kind in a colour of its own. */
function tile(kind) {
	const square = make('span', { className: 'tile', 'aria-hidden': true }, kind);
	square.style.setProperty('--hue', [...kind].reduce((hue, letter) => hue * 5 + letter.charCodeAt(0), 0) % 360);
	return square;
}

/** A file's tile, and its name with what stands below that. */
export const glance = ({ filename }, ...below) => [
	tile(label(filename)),
	make('span', { className: 'words' }, make('span', { className: 'filename', title: filename }, filename), ...below),
];
