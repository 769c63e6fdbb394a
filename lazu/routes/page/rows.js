/** A list of any length of which only what is in sight is in the document; it scrolls with the window. */

/** Rows above and below what is in sight. */
const SPARE = 12;

export class Rows {
	active = 0;

	#items = [];
	#drawn = new Map();
	#frame = null;

	/** `box` holds the rows, `draw(item, index)` makes one; an item has an `id`. */
	constructor(box, draw) {
		this.box = box;
		this.draw = draw;
		addEventListener('scroll', () => this.#soon(), { passive: true });
		addEventListener('resize', () => this.redraw());
		box.addEventListener('keydown', (event) => this.#move(event));
		box.addEventListener('focusin', ({ target }) => this.#activate(Number(target.closest('.row').dataset.index)));
	}

	get items() {
		return this.#items;
	}

	set items(items) {
		const id = this.#items[this.active]?.id;
		const same = items.findIndex((item) => item.id === id);
		this.#items = items;
		this.#activate(same < 0 ? this.active : same);
		this.redraw();
	}

	/** Draw everything in sight anew, as when a selection or the time has changed. */
	redraw() {
		this.height = parseFloat(getComputedStyle(this.box).getPropertyValue('--row'));
		this.box.style.height = `${this.#items.length * this.height}px`;
		const focused = this.box.contains(document.activeElement);
		this.box.replaceChildren();
		this.#drawn.clear();
		this.#show();
		if (focused) this.#drawn.get(this.active)?.focus({ preventScroll: true });
	}

	/** Bring an item into sight and give it the keyboard. */
	focus(index) {
		if (!this.#items.length) return;
		this.#activate(index);
		this.#show();
		this.#drawn.get(this.active)?.focus({ preventScroll: true });
		this.#drawn.get(this.active)?.scrollIntoView({ block: 'nearest' });
	}

	#activate(index) {
		const turn = (tabIndex) => Object.assign(this.#drawn.get(this.active) ?? {}, { tabIndex });
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

	/** Indexes in sight, and the active one: a row with the keyboard must not go. */
	#wanted() {
		const { top } = this.box.getBoundingClientRect();
		const first = Math.max(0, Math.floor(-top / this.height) - SPARE);
		const last = Math.min(this.#items.length, Math.ceil((innerHeight - top) / this.height) + SPARE);
		const wanted = new Set([this.active]);
		for (let index = first; index < last; index += 1) wanted.add(index);
		return wanted;
	}

	#show() {
		if (!this.box.offsetParent || !this.#items.length) return;
		const wanted = this.#wanted();
		for (const [index, row] of this.#drawn) {
			if (wanted.has(index)) continue;
			row.remove();
			this.#drawn.delete(index);
		}
		for (const index of wanted) if (!this.#drawn.has(index)) this.#put(index);
	}

	/** Rows stand in the document in their order, for those who hear it. */
	#put(index) {
		const row = this.draw(this.#items[index], index);
		row.style.top = `${index * this.height}px`;
		row.tabIndex = index === this.active ? 0 : -1;
		row.dataset.index = index;
		this.box.insertBefore(row, [...this.box.children].find((other) => other.dataset.index > index) ?? null);
		this.#drawn.set(index, row);
	}

	#move(event) {
		const page = Math.max(1, Math.floor(innerHeight / this.height) - 3);
		const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
		if (!(event.key in steps) || !event.target.matches('.row')) return;
		event.preventDefault();
		this.focus(this.active + steps[event.key]);
	}
}
