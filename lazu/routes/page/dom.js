/** Elements made of data: a string becomes text, never markup. */

/** The first element that `selector` finds. */
export const find = (selector, root = document) => root.querySelector(selector);

/**
 * A new element. `props` are its properties (`className`, `onclick` …), or attributes where the name has a dash or is `role`;
 * `children` are nodes and strings.
 */
export function make(tag, props = {}, ...children) {
	const element = document.createElement(tag);
	for (const [name, value] of Object.entries(props)) {
		if (name.includes('-') || name === 'role') element.setAttribute(name, value);
		else element[name] = value;
	}
	element.append(...children);
	return element;
}

/** A button that sends no form. */
export const button = (className, onclick, props, ...children) => make('button', { type: 'button', className, onclick, ...props }, ...children);

/** A button with a picture only; `label` is what a screen reader says and what hovering shows. */
export const iconButton = (name, label, onclick, props) => button('quiet round', onclick, { title: label, 'aria-label': label, ...props }, icon(name));

/** A picture of the sprite in index.html. */
function icon(name) {
	const svg = find(`#i-${name}`).ownerSVGElement.cloneNode();
	const use = document.createElementNS(svg.namespaceURI, 'use');
	use.setAttribute('href', `#i-${name}`);
	svg.setAttribute('class', 'icon');
	svg.removeAttribute('hidden');
	svg.append(use);
	return svg;
}

/** Have a screen reader say `text`, and show it for a moment. */
export function say(text) {
	const said = find('#said');
	said.textContent = text;
	clearTimeout(say.timer);
	say.timer = setTimeout(() => said.replaceChildren(), 3500);
}

/**
 * Show `children` until the function that this gives is called, or a button called `label` is pressed: then `ended` is told.
 * The keyboard goes back to where it was, or to the tab if that is gone.
 */
export function note(children, label, ended = () => {}) {
	const before = document.activeElement;
	const close = () => {
		const focused = made.contains(document.activeElement);
		made.remove();
		if (!focused) return;
		before.focus();
		if (document.activeElement === document.body) find('nav [aria-current]')?.focus();
	};
	const dismiss = () => {
		close();
		ended();
	};
	const made = make('div', {}, ...children, iconButton('cross', label, dismiss));
	find('#notes').append(made);
	return close;
}

/** Show what went wrong until it is dismissed: nobody may be looking now. */
export const complain = (text) => note([make('span', { className: 'words problem', role: 'alert' }, text)], 'Dismiss');

/** Open `dialog`, with what is told inside it: all else can't be used or heard meanwhile. */
export function present(dialog) {
	dialog.append(find('#told'));
	dialog.showModal();
	dialog.addEventListener('close', free); // once, as often as this is said
}

const free = () => (find('dialog[open]') ?? document.body).append(find('#told'));

/** Put `text` on the clipboard, and say so. */
export async function copy(text, what) {
	const copied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
	say(copied || copyByHand(text) ? `${what} copied` : `${what}: ${text}`);
}

/** The way that also works where the page came by plain http from another machine. */
function copyByHand(text) {
	const field = make('textarea', { value: text, className: 'unseen', readOnly: true });
	(find('dialog[open]') ?? document.body).append(field);
	field.select();
	const copied = document.execCommand('copy');
	field.remove();
	return copied;
}

/** Ask before something that can't be undone; resolves to whether to go on. */
export function confirm(title, text, action) {
	const dialog = find('#confirm');
	find('h2', dialog).textContent = title;
	find('p', dialog).textContent = text;
	find('[value=yes]', dialog).textContent = action;
	dialog.returnValue = '';
	present(dialog);
	return new Promise((resolve) => {
		dialog.onclose = () => {
			if (dialog.open) return; // the event of the time before, which comes late
			for (const part of ['h2', 'p']) find(part, dialog).textContent = '';
			resolve(dialog.returnValue === 'yes');
		};
	});
}
