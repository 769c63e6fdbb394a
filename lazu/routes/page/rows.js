/** A list of any length of which only what is in sight is in the document; it scrolls with the window. */

/** Rows above and below what is in sight. */
const SPARE = 12;

export class Rows {
	active = 0;

	#items = [];

	/** Rows by the id of their item: each stays in the document, with the keyboard and the mouse, while its item is in sight. */
	#drawn = new Map();

	#frame = null;

	/** Whether the mouse is down on a row, which must not move then, and the items that came meanwhile. */
	#pressed = false;
	#coming = null;

	/** `box` holds the rows, `draw(item)` makes one and `update(row, item)` has it show what changes; an item has an `id`. */
	constructor(box, draw, update) {
		Object.assign(this, { box, draw, update });
		addEventListener('scroll', () => this.#soon(), { passive: true });
		addEventListener('resize', () => this.redraw());
		box.addEventListener('keydown', (event) => this.#move(event));
		box.addEventListener('focusin', ({ target }) => this.#activate(Number(target.closest('.row').dataset.index)));
		box.addEventListener('pointerdown', ({ button }) => (this.#pressed = button === 0));
		for (const end of ['pointerup', 'pointercancel']) addEventListener(end, () => this.#pressed && setTimeout(() => this.#release()));
	}

	/** Once the click has arrived. */
	#release() {
		this.#pressed = false;
		if (this.#coming) this.items = this.#coming;
	}

	get items() {
		return this.#items;
	}

	set items(items) {
		this.#coming = this.#pressed ? items : null;
		if (this.#pressed) return;
		const id = this.#items[this.active]?.id;
		const same = items.findIndex((item) => item.id === id);
		this.#items = items;
		this.#activate(same < 0 ? this.active : same);
		this.redraw();
	}

	/** Bring what is in sight up to date, as when a selection or the time has changed. */
	redraw() {
		this.height = parseFloat(getComputedStyle(this.box).getPropertyValue('--row'));
		this.box.style.height = `${this.#items.length * this.height}px`;
		const focused = this.box.contains(document.activeElement);
		this.#show(true);
		if (focused && !this.box.contains(document.activeElement)) this.#row?.focus({ preventScroll: true });
	}

	get #row() {
		return this.#drawn.get(this.#items[this.active]?.id);
	}

	/** Bring an item into sight and give it the keyboard. */
	focus(index) {
		if (!this.#items.length) return;
		this.#activate(index);
		this.#show();
		this.#row?.focus({ preventScroll: true });
		this.#row?.scrollIntoView({ block: 'nearest' });
	}

	#activate(index) {
		const turn = (tabIndex) => Object.assign(this.#row ?? {}, { tabIndex });
		turn(-1);
		this.active = Math.max(0, Math.min(index, this.#items.length - 1));
		turn(0);
	}

	#soon() {
		this.#frame ??= requestAnimationFrame(() => {
			this.#frame = null;
			this.#show();
		});
	}

	/** Indexes in sight by the id of their item, and the active one: a row with the keyboard must not go. */
	#wanted() {
		const { top } = this.box.getBoundingClientRect();
		const first = Math.max(0, Math.floor(-top / this.height) - SPARE);
		const last = Math.min(this.#items.length, Math.ceil((innerHeight - top) / this.height) + SPARE);
		const indexes = new Set(this.#items.length ? [this.active] : []);
		for (let index = first; index < last; index += 1) indexes.add(index);
		return new Map([...indexes].sort((a, b) => a - b).map((index) => [this.#items[index].id, index]));
	}

	/** Rows stand in the document in their order, for those who hear it. Those that are there stay as they are, unless `all` are to change. */
	#show(all = false) {
		const wanted = this.box.offsetParent ? this.#wanted() : new Map();
		for (const [id, row] of this.#drawn) {
			if (wanted.has(id)) continue;
			row.remove();
			this.#drawn.delete(id);
		}
		let next = this.box.firstChild;
		for (const [id, index] of wanted) {
			const row = all || !this.#drawn.has(id) ? this.#put(index) : this.#drawn.get(id);
			if (row === next) next = row.nextSibling;
			else this.box.insertBefore(row, next);
		}
	}

	#put(index) {
		const item = this.#items[index];
		const row = this.#drawn.get(item.id) ?? this.draw(item);
		row.style.top = `${index * this.height}px`;
		row.tabIndex = index === this.active ? 0 : -1;
		row.dataset.index = index;
		row.setAttribute('aria-rowindex', index + 2);
		this.update(row, item);
		this.#drawn.set(item.id, row);
		return row;
	}

	#move(event) {
		const page = Math.max(1, Math.floor(innerHeight / this.height) - 3);
		const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
		if (!(event.key in steps) || !event.target.matches('.row')) return;
		event.preventDefault();
		this.focus(this.active + steps[event.key]);
	}
}
