/** One file on its way to Lazu: in one request, or in parts when it is large, so that a broken line costs one part only. */

import { ApiError, authorization, key, pause, post, problem, unreachable } from './api.js';
import { extension } from './format.js';

/** From here on a file goes in parts (`/v1/uploads`). */
const LARGE = 32 * 2 ** 20;

/** Bytes of a part: what is sent again after the line broke. */
const PART = 8 * 2 ** 20;

/** How often a part, or the end of an upload, is tried before a person is asked to. */
const TRIES = 5;

/** What /page/rules.json says. */
export const rules = { purposes: {}, executable: [] };

/** The purpose that a file's type suggests. */
export function proposed(file) {
	const fits = ([, { types, max_bytes: most }]) => types.includes(file.type) && file.size <= most;
	return Object.entries(rules.purposes).find(fits)?.[0] ?? 'user_data';
}

/** An upload; its `change` events say when its state or progress is another. */
export class Sending extends EventTarget {
	/** `waiting`, `sending`, `checking` (all bytes are there), `done`, `failed` or `cancelled`. */
	state = 'waiting';
	sent = 0;

	/** The file object, when it is done; the error, when it failed. */
	made = null;
	error = null;

	#started = null;
	#parts = [];
	#stop = null;
	#pace = [];

	/** `keep` is the lifetime in seconds, 0 for the longest. */
	constructor(file, purpose, keep) {
		super();
		Object.assign(this, { file, purpose, expiry: keep ? { anchor: 'created_at', seconds: keep } : null });
	}

	/** Send it, or the rest of it; never throws. */
	async go() {
		const { signal } = (this.#stop = new AbortController());
		this.#pace = [];
		this.#turn('sending');
		try {
			this.made = await (this.#inParts() ? this.#sendParts() : this.#sendWhole());
			this.#turn('done');
		} catch (e) {
			if (signal.aborted) return;
			this.error = e;
			this.#turn('failed');
		}
	}

	/** Stop it for good. What the server has of it goes. */
	cancel() {
		if (this.state === 'done') return;
		this.#turn('cancelled');
		this.#stop?.abort();
		if (this.#started) post(`/v1/uploads/${this.#started}/cancel`, {}).catch(() => {}); // else it expires within the hour
		this.#started = null;
	}

	again() {
		this.#turn('waiting');
	}

	/** Bytes a second, over the last seconds. */
	get speed() {
		const [first, last] = [this.#pace[0], this.#pace.at(-1)];
		return last && last.time > first.time ? ((last.sent - first.sent) / (last.time - first.time)) * 1000 : 0;
	}

	/** Seconds that the rest will take, as far as one can say. */
	get left() {
		return this.speed > 0 ? (this.file.size - this.sent) / this.speed : null;
	}

	/** Also what is likely to be refused: `/v1/uploads` says so before a byte is sent. */
	#inParts() {
		const most = rules.purposes[this.purpose]?.max_bytes ?? LARGE;
		return this.file.size >= Math.min(LARGE, most + 1) || rules.executable.includes(extension(this.file.name));
	}

	#sendWhole() {
		const form = new FormData();
		form.append('purpose', this.purpose);
		for (const [name, value] of Object.entries(this.expiry ?? {})) form.append(`expires_after[${name}]`, value);
		form.append('file', this.file, this.file.name);
		return this.#transfer('/v1/files', form, 0);
	}

	async #sendParts() {
		if (!this.#started) await this.#begin();
		for (let at = this.#parts.length * PART; at < this.file.size; at += PART) {
			const { id } = await this.#insist(() => this.#sendPart(at));
			this.#parts.push(id);
		}
		this.#turn('checking');
		const { file } = await this.#insist(() => this.#post('/complete', { part_ids: this.#parts }));
		return file;
	}

	async #begin() {
		const { name, size, type } = this.file;
		const about = { filename: name, bytes: size, mime_type: type || 'application/octet-stream', purpose: this.purpose, expires_after: this.expiry ?? undefined };
		this.#started = (await this.#post('', about)).id;
		this.#parts = [];
	}

	/** POST to what is started, or to start it. */
	async #post(verb, body) {
		const path = this.#started ? `/v1/uploads/${this.#started}${verb}` : '/v1/uploads';
		return (await post(path, body, this.#stop.signal)).json();
	}

	#sendPart(at) {
		const form = new FormData();
		form.append('data', this.file.slice(at, at + PART), 'part');
		return this.#transfer(`/v1/uploads/${this.#started}/parts`, form, at);
	}

	/** Try again, after a while, what a repeat may cure. */
	async #insist(attempt) {
		const { signal } = this.#stop;
		for (let tries = 1; ; tries += 1) {
			try {
				return await attempt();
			} catch (e) {
				if (e.code === 'upload_not_found') this.#started = null; // expired: trying again begins anew
				if (!(e instanceof ApiError) || e.final || tries === TRIES) throw e;
				await pause(Math.max(e.wait, tries), signal);
				signal.throwIfAborted();
			}
		}
	}

	/** POST a form and tell of its progress, which fetch can't; `before` bytes of the file are there already. */
	#transfer(path, form, before) {
		return new Promise((resolve, reject) => {
			const { signal } = this.#stop;
			const used = key.get();
			const request = new XMLHttpRequest();
			request.open('POST', path);
			request.setRequestHeader('Authorization', authorization().Authorization);
			request.upload.onprogress = (event) => this.#progress(Math.min(before + event.loaded, this.file.size));
			request.onload = () => {
				if (request.status === 200) resolve(JSON.parse(request.responseText));
				else reject(problem(request.status, request.responseText, headers(request), used));
			};
			request.onerror = () => reject(unreachable());
			request.onabort = () => reject(signal.reason);
			signal.addEventListener('abort', () => request.abort());
			request.send(form);
		});
	}

	#progress(sent) {
		const time = performance.now();
		this.sent = sent;
		this.#pace.push({ time, sent });
		while (this.#pace.length > 2 && time - this.#pace[0].time > 5000) this.#pace.shift();
		this.dispatchEvent(new Event('change'));
	}

	#turn(state) {
		this.state = state;
		this.dispatchEvent(new Event('change'));
	}
}

const headers = (request) => new Headers(['retry-after', 'x-should-retry'].map((name) => [name, request.getResponseHeader(name) ?? '']));
