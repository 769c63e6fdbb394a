/** Elements made of data: a string becomes text, never markup. */

/** The first element that `selector` finds. */
export const find = (selector, root = document) => root.querySelector(selector);

/**
 * A new element. `props` are its properties (`className`, `onclick` …), or attributes where the name has a dash or is `role`;
 * `children` are nodes and strings, null for none.
 */
export function make(tag, props = {}, ...children) {
	const element = document.createElement(tag);
	for (const [name, value] of Object.entries(props)) {
		if (name.includes('-') || name === 'role') element.setAttribute(name, value);
		else element[name] = value;
	}
	element.append(...children.filter((child) => child !== null));
	return element;
}

const SVG = 'http://www.w3.org/2000/svg';

/** A picture of the sprite in index.html. */
export function icon(name) {
	const svg = document.createElementNS(SVG, 'svg');
	svg.setAttribute('class', 'icon');
	svg.setAttribute('aria-hidden', 'true');
	const use = document.createElementNS(SVG, 'use');
	use.setAttribute('href', `#i-${name}`);
	svg.append(use);
	return svg;
}

/** A button with a picture only; `label` is what a screen reader says and what hovering shows. */
export function iconButton(name, label, onclick, props = {}) {
	return make('button', { type: 'button', className: 'quiet round', title: label, 'aria-label': label, onclick, ...props }, icon(name));
}

/** Have a screen reader say `text`, and show it for a moment. */
export function say(text) {
	const said = find('#said');
	said.textContent = text;
	said.classList.add('shown');
	clearTimeout(say.timer);
	say.timer = setTimeout(() => said.classList.remove('shown'), 3500);
}

/** Put `text` on the clipboard, and say so. */
export async function copy(text, what) {
	try {
		await navigator.clipboard.writeText(text);
		say(`${what} copied`);
	} catch {
		copyByHand(text, what);
	}
}

/** The way that also works where the page came by plain http from another machine. */
function copyByHand(text, what) {
	const field = make('textarea', { value: text, className: 'unseen', readOnly: true });
	(document.querySelector('dialog[open]') ?? document.body).append(field);
	field.select();
	say(document.execCommand('copy') ? `${what} copied` : `${what}: ${text}`);
	field.remove();
}

/** Ask before something that can't be undone; resolves to whether to go on. */
export function confirm(title, text, action) {
	const dialog = find('#confirm');
	find('h2', dialog).textContent = title;
	find('p', dialog).textContent = text;
	find('[value=yes]', dialog).textContent = action;
	dialog.returnValue = '';
	dialog.showModal();
	return new Promise((resolve) => {
		dialog.onclose = () => resolve(dialog.returnValue === 'yes');
	});
}
