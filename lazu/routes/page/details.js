/** One file: what is known of it, what it looks like, what can be done with it. */

import { call, now } from './api.js';
import { copy, find, iconButton, make, say } from './dom.js';
import { bytes, moment } from './format.js';
import { gone, tile } from './glance.js';
import { preview } from './preview.js';
import { shelf } from './shelf.js';

let shown = null;

/** Show `file`; `acts` has what `ask` and `remove` do. */
export function open(file, acts) {
	const dialog = find('#details');
	shown = { file, stop: new AbortController() };
	find('h2', dialog).replaceChildren(tile(file), make('span', {}, file.filename));
	find('dl', dialog).replaceChildren(...facts(file));
	find('#save-one').onclick = () => save(file);
	find('#ask-one').onclick = () => close(acts.ask);
	find('#delete-one').onclick = () => close(acts.remove);
	dialog.onclose = forget;
	dialog.showModal();
	preview(file, find('#preview'), shown.stop.signal);
}

function facts(file) {
	const id = make('dd', { className: 'id' }, make('code', {}, file.id), iconButton('copy', 'Copy the id', () => copy(file.id, 'Id')));
	const rest = [['Size', `${bytes(file.bytes)}${file.bytes < 1000 ? '' : ` (${file.bytes.toLocaleString()} bytes)`}`], ['Purpose', file.purpose], ['Created', moment(file.created_at)]];
	const pairs = rest.map(([name, value]) => [make('dt', {}, name), make('dd', {}, value)]);
	const end = make('dd', { className: 'end' }, `${gone(file)} (${moment(file.expires_at)})`);
	return [make('dt', {}, 'Id'), id, ...pairs.flat(), make('dt', {}, 'Kept'), end];
}

function close(then) {
	find('#details').close();
	then();
}

function forget() {
	shown?.stop.abort();
	shown = null;
	find('#preview').replaceChildren();
}

/** A file that goes while it is shown says so. */
function look() {
	if (!shown) return;
	const there = shelf.files.has(shown.file.id) && shown.file.expires_at > now();
	find('#details .end').textContent = there ? `${gone(shown.file)} (${moment(shown.file.expires_at)})` : 'This file is gone: it has expired or was deleted.';
	for (const button of document.querySelectorAll('#details footer button:not([value=close])')) button.disabled = !there;
}

shelf.addEventListener('change', look);
setInterval(look, 1000);

/** Download `file` to where the browser puts downloads. The browser keeps a large blob on disk. */
export async function save(file) {
	say(`Downloading ${file.filename} …`);
	try {
		const blob = await (await call(`/v1/files/${file.id}/content`)).blob();
		const href = URL.createObjectURL(new Blob([blob], { type: 'application/octet-stream' }));
		make('a', { href, download: file.filename }).click();
		setTimeout(() => URL.revokeObjectURL(href), 60000);
	} catch (e) {
		say(`${file.filename} was not downloaded: ${e.message}`);
	}
}
