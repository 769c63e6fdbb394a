/** Upload: files by dropping, pasting and choosing; three at once, of large ones one, each with its progress. */

import { json, now } from './api.js';
import { button, complain, find, iconButton, make, say } from './dom.js';
import { bytes, count, span } from './format.js';
import { glance } from './glance.js';
import { proposed, rules, Sending } from './sending.js';
import { shelf } from './shelf.js';

/** By HTTP/1.1 a browser opens six connections to a host, for all tabs: the list, deletions and answers need some too. */
const AT_ONCE = 3;

/** States in which bytes travel, or are judged. */
const BUSY = ['sending', 'checking'];

let queue = [];
let uses;

const among = (...states) => queue.filter(({ state }) => states.includes(state));

/** Set the view up. `uses` has what to do: `arrived(file)`, `ask(file)`, `go(view)`; `ready()` says whether to take files. */
export function start(given) {
	uses = given;
	for (const [opener, input] of [[find('#pick'), find('#picked-files')], [find('#pick-folder'), find('#picked-folder')]]) {
		opener.onclick = () => input.click();
		input.onchange = () => {
			take([...input.files]);
			input.value = '';
		};
	}
	find('#clear-done').onclick = clearDone;
	find('#cancel-all').onclick = () => queue.forEach((each) => each.cancel());
	document.addEventListener('paste', paste);
	startDropping();
	addEventListener('beforeunload', (event) => among(...BUSY).length && event.preventDefault());
}

let learned;

/** Learn what may be uploaded. */
export const learn = () => (learned = ask());

async function ask() {
	Object.assign(rules, await json('/page/rules.json'));
	const purposes = Object.entries(rules.purposes);
	for (const list of [find('#purposes'), find('#purpose')]) list.replaceChildren(list.options[0], ...purposes.map(([name]) => new Option(name)));
	const limits = purposes.map(([name, { max_bytes: most }]) => `${name} up to ${bytes(most)}`);
	find('#limits').textContent = `${limits.join(', ')}; no programs. Kept for ${span(rules.retention_days * 86400)} at most.`;
}

/** Stop and forget everything, as when signing out. */
export function clear() {
	for (const each of queue) each.cancel();
	clearDone();
}

const isField = (element) => element.matches?.('input, textarea');

const hasFiles = ({ dataTransfer }) => dataTransfer.types.includes('Files');

function startDropping() {
	let depth = 0;
	const over = (change) => (event) => {
		if (!hasFiles(event)) return;
		depth = Math.max(0, depth + change);
		document.body.classList.toggle('dropping', depth > 0 && uses.ready());
	};
	addEventListener('dragenter', over(1));
	addEventListener('dragleave', over(-1));
	// Text belongs to the field it is dropped on; elsewhere the browser might go to a link that is dropped.
	const hold = (event) => (hasFiles(event) || !isField(event.target)) && event.preventDefault();
	addEventListener('dragover', hold);
	addEventListener('drop', async (event) => {
		hold(event);
		over(-depth)(event);
		const found = await dropped(event.dataTransfer);
		const files = found.filter(Boolean);
		take(files, found.length - files.length);
	});
}

/** All files of a drop, those within folders too; null for each entry that can't be read. */
async function dropped(transfer) {
	const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
	if (!entries.length) return [...transfer.files];
	return (await Promise.all(entries.map(within))).flat(Infinity);
}

const promised = (method, entry) => new Promise((resolve, reject) => entry[method](resolve, reject));

async function within(entry) {
	const files = [];
	try {
		if (entry.isFile) return [await promised('file', entry)];
		const reader = entry.createReader();
		for (;;) {
			const some = await promised('readEntries', reader);
			if (!some.length) return files;
			files.push(await Promise.all(some.map(within)));
		}
	} catch {
		return [files, null];
	}
}

/** Upload what is pasted. Word and Excel put a picture of a text beside it: into a field goes the text. */
function paste(event) {
	const files = [...event.clipboardData.files];
	if (!files.length || !uses.ready() || (isField(event.target) && event.clipboardData.types.includes('text/plain'))) return;
	event.preventDefault();
	take(files.map(named));
}

/** A pasted picture is always called `image.png`; with the time it can be found again. */
function named(file) {
	if (file.name !== 'image.png') return file;
	const time = new Date(now() * 1000).toISOString().slice(0, 19).replace('T', ' ').replaceAll(':', '.');
	return new File([file], `pasted ${time}.png`, { type: file.type });
}

/** Have `files` uploaded; `lost` could not be read. */
async function take(files, lost = 0) {
	await learned?.catch(learn).catch(() => {}); // else a picture that comes early is taken for any file
	if (!uses.ready()) return;
	if (lost) complain(`${count(lost, 'file')} could not be read`);
	if (!files.length) return;
	const [purpose, keep] = [find('#purpose').value, Number(find('#keep').value)];
	for (const file of files) queue.push(shown(new Sending(file, purpose || proposed(file), keep)));
	uses.go('upload');
	if (!lost) say(`${count(files.length, 'file')} to upload`);
	pump();
}

function pump() {
	tell();
	const busy = among(...BUSY);
	for (const each of among('waiting')) {
		if (busy.length >= AT_ONCE) return;
		if (each.large && busy.some(({ large }) => large)) continue; // all of them together would take longer than an upload lasts
		busy.push(each);
		run(each);
	}
}

async function run(sending) {
	await sending.go();
	if (sending.state === 'done') {
		shelf.add(sending.made);
		uses.arrived(sending.made);
	}
	if (sending.state === 'failed') say(`${sending.file.name}: ${sending.error.message}`);
	pump();
}

/** Give `sending` its row in the list, which tells how it goes. */
function shown(sending) {
	const { name, size } = sending.file;
	const more = make('span', { className: 'more' });
	const bar = make('progress', { max: size || 1, 'aria-label': `Upload of ${name}` });
	const stop = iconButton('cross', `Cancel ${name}`, () => sending.cancel());
	const again = button('small', () => retry(sending), { 'aria-label': `Try ${name} again` }, 'Try again');
	const ask = button('small', () => uses.ask(sending.made), { 'aria-label': `Ask about ${name}` }, 'Ask');
	sending.row = make('li', {}, ...glance({ filename: name }, more, bar), ask, again, stop);
	const draw = () => {
		const { state } = sending;
		sending.row.className = state;
		bar.value = sending.sent;
		bar.hidden = !BUSY.includes(state);
		again.hidden = state !== 'failed' && state !== 'cancelled';
		ask.hidden = state !== 'done';
		stop.hidden = state === 'done' || state === 'cancelled';
		more.textContent = words(sending);
		tell();
	};
	sending.addEventListener('change', draw);
	find('#queue').append(sending.row);
	draw();
	return sending;
}

function retry(sending) {
	sending.again();
	pump();
}

function words({ error, file, left, purpose, sent, speed, state, whole }) {
	if (state === 'failed') return error.message;
	if (state !== 'sending') return `${bytes(file.size)} · ${state === 'done' ? `${purpose} · uploaded` : state}`;
	return `${bytes(sent)} of ${bytes(file.size)}${left === null ? '' : ` · ${bytes(speed)}/s · ${span(Math.ceil(left))} left`}${whole ? ' · begun again in one piece: too slow for parts' : ''}`;
}

/** How it goes, beside the name of the view and above the list. */
function tell() {
	const left = among('waiting', ...BUSY).length;
	find('#pending').textContent = left || '';
	find('#queue-tools').hidden = !queue.length;
	find('#queue-state').textContent = left ? `${count(left, 'file')} to go` : `${count(among('done').length, 'file')} uploaded`;
	find('#clear-done').hidden = left === queue.length;
	find('#cancel-all').hidden = !left;
}

function clearDone() {
	for (const { row } of among('done', 'cancelled')) row.remove();
	queue = queue.filter(({ row }) => row.isConnected);
	tell();
}
