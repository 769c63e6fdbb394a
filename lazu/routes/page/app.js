/** The page: signing in and out, and which view is shown. */

import { ApiError, events, json, key } from './api.js';
import * as ask from './ask.js';
import { find } from './dom.js';
import * as files from './files.js';
import { shelf } from './shelf.js';
import * as upload from './upload.js';

const VIEWS = ['files', 'upload', 'ask'];

/** The view that the address names; it holds nothing else. */
const named = () => (VIEWS.includes(location.hash.slice(1)) ? location.hash.slice(1) : 'files');

function show() {
	const view = key.get() ? named() : 'sign-in';
	for (const name of [...VIEWS, 'sign-in']) find(`#${name}`).hidden = name !== view;
	document.body.classList.toggle('signed-in', view !== 'sign-in');
	for (const link of document.querySelectorAll('nav [href^="#"]')) {
		if (link.hash === `#${view}`) link.setAttribute('aria-current', 'page');
		else link.removeAttribute('aria-current');
	}
	document.title = view === 'sign-in' ? 'Lazu' : `${find(`nav [href="#${view}"]`).dataset.name} · Lazu`;
	if (view === 'files') files.show();
	if (view === 'ask') ask.load();
}

function go(view) {
	location.hash = view;
	show();
}

async function signIn(event) {
	event.preventDefault();
	const [field, button] = [find('#key'), find('#sign-in button')];
	key.set(field.value.trim());
	button.disabled = true;
	tellProblem('');
	try {
		await json('/v1/files?limit=1');
		field.value = '';
		enter();
	} catch (e) {
		key.forget();
		tellProblem(e instanceof ApiError ? e.message : 'This is no key.');
		field.focus();
	}
	button.disabled = false;
}

const tellProblem = (text) => {
	find('#sign-in .problem').textContent = text;
	find('#key').setAttribute('aria-invalid', Boolean(text));
};

function enter() {
	show();
	shelf.load();
	upload.learn().catch(() => {}); // then nothing is known before it is sent
	find(`nav [href="#${named()}"]`).focus();
}

/** Forget the key and all that it opened. */
function leave(why) {
	key.forget();
	for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
	upload.clear();
	ask.clear();
	shelf.clear();
	show();
	tellProblem(why);
	find('#key').focus();
}

function start() {
	find('#sign-in form').onsubmit = signIn;
	find('#sign-out').onclick = () => leave('');
	events.addEventListener('refused', () => document.body.classList.contains('signed-in') && leave('This key is no longer accepted.'));
	events.addEventListener('away', () => find('#away').hidden = false);
	events.addEventListener('back', () => find('#away').hidden = true);
	addEventListener('hashchange', show);
	document.addEventListener('visibilitychange', () => !document.hidden && key.get() && shelf.state !== 'loading' && shelf.load());
	const question = async (some) => {
		go('ask');
		await ask.add(some);
		find('#question').focus();
	};
	files.start(question);
	ask.start();
	upload.start({ arrived, ask: (file) => question([file]), go: (view) => named() === 'ask' || go(view), ready: () => Boolean(key.get()) });
	show();
	if (key.get()) enter();
	else find('#key').focus();
}

/** What was dropped on a question belongs to it. */
const arrived = (file) => named() === 'ask' && ask.add([file]);

start();
