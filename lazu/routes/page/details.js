/** One file: what is known of it, what it looks like, what can be done with it. */

import { load, now } from './api.js';
import { copy, find, iconButton, make, present } from './dom.js';
import { save } from './download.js';
import { bytes, moment } from './format.js';
import { glance, gone } from './glance.js';
import { shelf } from './shelf.js';

const dialog = find('#details');
let shown = null;

/** Show `file`; `acts` has what `ask` and `remove` do. */
export function open(file, acts) {
	const stop = new AbortController();
	const close = (then) => () => {
		dialog.close();
		then();
	};
	shown = file;
	find('h2', dialog).replaceChildren(...glance(file));
	find('dl', dialog).replaceChildren(...facts(file));
	find('#save-one').onclick = () => save([file]);
	find('#ask-one').onclick = close(acts.ask);
	find('#delete-one').onclick = close(acts.remove);
	dialog.onclose = () => {
		stop.abort();
		shown = null;
		for (const part of ['h2', 'dl', '#preview']) find(part, dialog).replaceChildren();
	};
	present(dialog);
	look();
	const box = find('#preview');
	load('preview.js').then(({ preview }) => preview(file, box, stop.signal), (e) => box.replaceChildren(e.message));
}

const facts = (file) =>
	[
		['Id', 'id', make('code', {}, file.id), iconButton('copy', 'Copy the id', () => copy(file.id, 'Id'))],
		['Size', '', bytes(file.bytes), file.bytes < 1000 ? '' : ` (${file.bytes.toLocaleString()} bytes)`],
		['Purpose', '', file.purpose],
		['Created', '', moment(file.created_at)],
		['Kept', 'end'],
	].flatMap(([name, className, ...values]) => [make('dt', {}, name), make('dd', { className }, ...values)]);

/** A file that goes while it is shown says so. */
function look() {
	if (!shown) return;
	const there = shelf.files.has(shown.id) && shown.expires_at > now();
	find('.end', dialog).textContent = there ? `${gone(shown)} (${moment(shown.expires_at)})` : 'This file is gone: it has expired or was deleted.';
	for (const button of dialog.querySelectorAll('[type=button]:not(.round)')) button.disabled = !there;
}

shelf.addEventListener('change', look);
setInterval(look, 1000);
