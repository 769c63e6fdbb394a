/** What every view shows of a file. */

import { now } from './api.js';
import { make } from './dom.js';
import { bytes, kind, label, span } from './format.js';

/** The square that says what a file is. */
export const tile = (file) => make('span', { className: `tile ${kind(file.filename)}`, 'aria-hidden': true }, label(file.filename));

/** `gone in 12 days`. */
export const gone = (file) => (file.expires_at > now() ? `gone in ${span(file.expires_at - now())}` : 'gone');

export const summary = (file) => `${bytes(file.bytes)} · ${gone(file)} · ${file.purpose}`;
