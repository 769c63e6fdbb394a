/** Files: the list, its order and filter, and what is done with several at once. */

import { key, now } from './api.js';
import { open } from './details.js';
import { complain, confirm, copy, find, iconButton, make, say } from './dom.js';
import { save } from './download.js';
import { bytes, count, moment, when } from './format.js';
import { glance, gone, summary } from './glance.js';
import { Rows } from './rows.js';
import { shelf } from './shelf.js';

const names = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });

/** Orders of the list; each is turned round by a minus before its name. */
const ORDERS = {
	name: (a, b) => names.compare(a.filename, b.filename),
	size: (a, b) => a.bytes - b.bytes,
	purpose: (a, b) => names.compare(a.purpose, b.purpose),
	created: (a, b) => (a.id < b.id ? -1 : 1),
	gone: (a, b) => a.expires_at - b.expires_at,
};

const turned = (name) => (name.startsWith('-') ? name.slice(1) : `-${name}`);

const heads = [...document.querySelectorAll('[data-order]')];
const chosen = new Set();
let order = '-created';
let asking;
let rows;

/** Set the view up; `ask(files)` is called with those that one wants to ask about. */
export function start(ask) {
	asking = ask;
	rows = new Rows(find('#rows'), draw, update);
	find('#rows').addEventListener('keydown', press);
	find('#filter').oninput = find('#purposes').onchange = show;
	find('#refresh').onclick = () => shelf.load();
	for (const head of heads) head.onclick = () => arrange(order === head.dataset.order ? turned(order) : head.dataset.order);
	find('#all').onchange = (event) => chooseAll(event.target.checked);
	find('#drop-choice').onclick = () => chooseAll(false);
	find('#ask-choice').onclick = () => asking(picked());
	find('#save-choice').onclick = () => save(picked());
	find('#delete-choice').onclick = () => remove(picked());
	find('#clear-filter').onclick = clearFilter;
	shelf.addEventListener('change', show);
	setInterval(() => rows.redraw(), 30000);
	addEventListener('scroll', () => atEnd() && shelf.more(), { passive: true });
}

const atEnd = () => innerHeight + scrollY > document.body.scrollHeight - 2000;

function clearFilter() {
	find('#filter').value = find('#purposes').value = '';
	show();
	find('#filter').focus();
}

export function show() {
	for (const id of chosen) if (!shelf.files.has(id)) chosen.delete(id);
	if (find('#files').hidden) return;
	const items = found();
	const { files, state, error } = shelf;
	rows.items = items;
	find('#heads').hidden = find('#keys').hidden = !items.length;
	find('#grid').setAttribute('aria-rowcount', items.length + 1);
	find('#no-files').hidden = files.size > 0 || state !== 'whole';
	find('#no-match').hidden = items.length > 0 || !files.size;
	find('#loading').hidden = files.size > 0 || state !== 'loading';
	find('#list-problem').textContent = state === 'failed' ? error.message : '';
	showHeld();
	showChoice();
}

/** Have nothing of the files in the document, as when signing out. */
export function clear() {
	rows.items = [];
	find('#filter').value = find('#held').textContent = '';
}

function found() {
	const text = find('#filter').value.trim().toLowerCase();
	const purpose = find('#purposes').value;
	const fits = (file) => (!purpose || file.purpose === purpose) && (file.filename.toLowerCase().includes(text) || file.id.toLowerCase() === text);
	const compare = ORDERS[order.replace('-', '')];
	const sign = order.startsWith('-') ? -1 : 1;
	return [...shelf.files.values()].filter(fits).sort((a, b) => sign * compare(a, b) || ORDERS.created(b, a));
}

function showHeld() {
	const { files, held, quota, state } = shelf;
	find('#held').textContent = `${state === 'whole' ? '' : 'at least '}${count(files.size, 'file')} · ${bytes(held)}${quota ? ` of ${bytes(quota)}` : ''}`;
	Object.assign(find('#meter'), { hidden: !quota, max: quota || 1, value: held });
}

function arrange(wanted) {
	order = wanted;
	const direction = order.startsWith('-') ? 'descending' : 'ascending';
	for (const head of heads) head.parentElement.setAttribute('aria-sort', [order, turned(order)].includes(head.dataset.order) ? direction : 'none');
	show();
}

function draw(file) {
	const row = make('div', { className: 'row', role: 'row' });
	row.append(
		cell('pick', make('input', { type: 'checkbox', tabIndex: -1, 'aria-label': `Select ${file.filename}`, onclick: () => choose(file) })),
		cell('name', ...glance(file, make('span', { className: 'more' }))),
		cell('size', bytes(file.bytes)),
		cell('purpose', file.purpose),
		cell('created', make('span', { title: moment(file.created_at) })),
		cell('gone', make('span', { title: moment(file.expires_at) })),
		cell('acts', ...actions(file)),
	);
	row.onclick = (event) => event.target.closest('button, input') || (event.ctrlKey || event.metaKey ? choose(file) : look(file));
	return row;
}

/** Have `row` show what changes of `file`, and only where it has changed: someone may be reading it. */
function update(row, file) {
	const picked = chosen.has(file.id);
	row.setAttribute('aria-selected', picked);
	find('input', row).checked = picked;
	for (const [place, text] of [['.more', summary(file)], ['.created span', when(file.created_at, now())], ['.gone span', gone(file)]]) {
		const shown = find(place, row);
		if (shown.textContent !== text) shown.textContent = text;
	}
}

const cell = (name, ...inside) => make('div', { className: `cell ${name}`, role: 'gridcell' }, ...inside);

const actions = (file) => [
	action('copy', `Copy the id of ${file.filename}`, () => copy(file.id, 'Id')),
	action('save', `Download ${file.filename}`, () => save([file])),
	action('bin', `Delete ${file.filename}`, () => remove([file])),
];

const action = (...given) => iconButton(...given, { tabIndex: -1 });

const look = (file) => open(file, { remove: () => remove([file]), ask: () => asking([file]) });

/** What the keys do on a row: the hint under the list says so. */
function press(event) {
	const file = rows.items[rows.active];
	if (!file || !event.target.matches('.row')) return;
	const does = {
		Enter: () => look(file),
		' ': () => choose(file),
		Delete: () => remove(chosen.size ? picked() : [file]),
		Backspace: () => does.Delete(), // the key that Macs call Delete
		c: () => copy(file.id, 'Id'),
		Escape: () => chooseAll(false),
	};
	const control = { a: () => chooseAll(true) };
	const act = (event.ctrlKey || event.metaKey ? control : does)[event.key];
	if (!act) return;
	event.preventDefault();
	act();
}

function choose(file) {
	if (!chosen.delete(file.id)) chosen.add(file.id);
	showChosen();
}

function chooseAll(all) {
	chosen.clear();
	if (all) for (const { id } of rows.items) chosen.add(id);
	showChosen();
}

function showChosen() {
	rows.redraw();
	showChoice();
}

const picked = () => [...chosen].map((id) => shelf.files.get(id)).filter(Boolean);

function showChoice() {
	const files = picked();
	find('#choice').hidden = !files.length;
	find('#tools-plain').hidden = files.length > 0;
	find('#chosen').textContent = `${count(files.length, 'file')} selected · ${bytes(files.reduce((sum, file) => sum + file.bytes, 0))}`;
	const all = files.length === rows.items.length;
	Object.assign(find('#all'), { checked: files.length && all, indeterminate: files.length && !all });
}

/** Delete after asking, five at once; says what could not be. */
async function remove(files) {
	const [what, them] = files.length === 1 ? [`“${files[0].filename}”`, 'it'] : [count(files.length, 'file'), 'them'];
	if (!(await confirm(`Delete ${what}?`, `Whoever uses ${them} by id gets an error from now on. There is no recycle bin.`, 'Delete'))) return;
	const mine = key.get();
	const waiting = files.values();
	const failed = [];
	const work = async () => {
		for (const file of waiting) if (key.get() === mine) await shelf.delete(file.id).catch((e) => failed.push(e));
	};
	await Promise.all([1, 2, 3, 4, 5].map(work));
	if (key.get() !== mine) return;
	if (failed.length) complain(`${count(failed.length, 'file')} not deleted: ${failed[0].message}`);
	else say(`Deleted ${what}`);
	rows.focus(rows.active);
}
