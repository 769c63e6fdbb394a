/** A list of any length of which only what is in sight is in the document; it scrolls with the window. */

import { find } from './dom.js';

/** Rows above and below what is in sight. */
const SPARE = 12;

export class Rows {
	active = 0;

	#items = [];
	#drawn = new Map();
	#queued = false;

	/** `box` holds the rows, `draw(item, index)` makes one; an item has an `id`. */
	constructor(box, draw) {
		this.box = box;
		this.draw = draw;
		addEventListener('scroll', () => this.#soon(), { passive: true });
		addEventListener('resize', () => this.redraw());
		box.addEventListener('keydown', (event) => this.#move(event));
		box.addEventListener('focusin', (event) => this.#noteFocus(event));
	}

	get items() {
		return this.#items;
	}

	set items(items) {
		const id = this.#items[this.active]?.id;
		const same = items.findIndex((item) => item.id === id);
		this.#items = items;
		this.active = same < 0 ? Math.max(0, Math.min(this.active, items.length - 1)) : same;
		this.redraw();
	}

	/** Draw everything in sight anew, as when a selection or the time has changed. */
	redraw() {
		this.height = parseFloat(getComputedStyle(this.box).getPropertyValue('--row')) || 56;
		this.box.style.height = `${this.#items.length * this.height}px`;
		const focused = this.box.contains(document.activeElement);
		for (const row of this.#drawn.values()) row.remove();
		this.#drawn.clear();
		this.#show();
		if (focused) this.#rowOf(this.active)?.focus({ preventScroll: true });
	}

	/** Bring an item into sight and give it the keyboard. */
	focus(index) {
		if (!this.#items.length) return;
		const before = this.active;
		this.active = Math.max(0, Math.min(index, this.#items.length - 1));
		this.#scrollTo(this.active);
		this.#show();
		this.#rowOf(before)?.setAttribute('tabindex', '-1');
		const row = this.#rowOf(this.active);
		row?.setAttribute('tabindex', '0');
		row?.focus({ preventScroll: true });
	}

	#soon() {
		if (this.#queued) return;
		this.#queued = true;
		requestAnimationFrame(() => {
			this.#queued = false;
			this.#show();
		});
	}

	#rowOf(index) {
		return this.#drawn.get(index);
	}

	/** Indexes in sight, and the active one: a row with the keyboard must not go. */
	#wanted() {
		const top = this.box.getBoundingClientRect().top;
		const first = Math.max(0, Math.floor(-top / this.height) - SPARE);
		const last = Math.min(this.#items.length, Math.ceil((innerHeight - top) / this.height) + SPARE);
		const wanted = new Set([this.active]);
		for (let index = first; index < last; index += 1) wanted.add(index);
		return wanted;
	}

	#show() {
		if (!this.box.offsetParent) return;
		const wanted = this.#wanted();
		for (const [index, row] of this.#drawn) {
			if (wanted.has(index)) continue;
			row.remove();
			this.#drawn.delete(index);
		}
		for (const index of wanted) {
			if (index < this.#items.length && !this.#drawn.has(index)) this.#put(index);
		}
	}

	/** Rows stand in the document in their order, for those who hear it. */
	#put(index) {
		const row = this.draw(this.#items[index], index);
		row.style.top = `${index * this.height}px`;
		row.setAttribute('tabindex', index === this.active ? '0' : '-1');
		row.dataset.index = index;
		const next = [...this.box.children].find((other) => Number(other.dataset.index) > index);
		this.box.insertBefore(row, next ?? null);
		this.#drawn.set(index, row);
	}

	#scrollTo(index) {
		const top = this.box.getBoundingClientRect().top + index * this.height;
		const room = find('.bar').offsetHeight + find('.tools').offsetHeight + this.height;
		if (top < room) scrollBy(0, top - room);
		else if (top + this.height > innerHeight) scrollBy(0, top + this.height - innerHeight + 16);
	}

	#move(event) {
		const page = Math.max(1, Math.floor(innerHeight / this.height) - 3);
		const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
		if (!(event.key in steps) || event.target.dataset.index === undefined) return;
		event.preventDefault();
		this.focus(this.active + steps[event.key]);
	}

	#noteFocus(event) {
		const row = event.target.closest('[data-index]');
		if (!row || Number(row.dataset.index) === this.active) return;
		this.#rowOf(this.active)?.setAttribute('tabindex', '-1');
		this.active = Number(row.dataset.index);
		row.setAttribute('tabindex', '0');
	}
}
