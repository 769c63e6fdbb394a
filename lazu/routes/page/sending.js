/** One file on its way to Lazu: in one request, or in parts when it is large, so that a broken line costs one part only. */

import { ApiError, arrived, authorization, key, now, pause, post, problem, read, unreachable } from './api.js';
import { extension } from './format.js';

/** From here on a file goes in parts (`/v1/uploads`). */
const LARGE = 32 * 2 ** 20;

/** Bytes of a part: what is sent again after the line broke. */
const PART = 8 * 2 ** 20;

/** How often a part, or the end of an upload, is tried before a person is asked to. */
const TRIES = 5;

/** Milliseconds for which no byte moves until the line counts as broken; the server waits no longer either. */
const SILENCE = 60000;

const changed = () => new Error('This file has changed or is gone; choose it again.');

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

	/** Whether it goes in one request though it is large: in parts it would take longer than an upload lasts. */
	whole = false;

	#upload = null;
	#parts = [];
	#stop = null;
	#since = null;
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
			this.made = await (this.large && !this.whole ? this.#sendParts() : this.#sendWhole());
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
		this.#discard();
	}

	/** Have the server forget the parts; else they expire within the hour. */
	async #discard() {
		const id = this.#upload?.id;
		this.#upload = null;
		if (id) await post(`/v1/uploads/${id}/cancel`, {}).catch(() => {});
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

	/** Whether it goes in parts; also what is likely to be refused: `/v1/uploads` says so before a byte is sent. */
	get large() {
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
		if (!this.#upload) await this.#begin();
		this.#since = { time: now(), at: this.#parts.length * PART };
		for (let { at } = this.#since; at < this.file.size; at += PART) {
			if (this.#late(at)) return this.#sendAnew();
			const { id } = await this.#insist(() => this.#sendPart(at));
			this.#parts.push(id);
		}
		this.#turn('checking');
		const { file } = await this.#insist(() => this.#post('/complete', { part_ids: this.#parts }));
		return file;
	}

	/** Whether the upload will end before the last byte comes, at the pace of the bytes up to `at`. */
	#late(at) {
		const pace = (at - this.#since.at) / (now() - this.#since.time);
		return pace > 0 && (this.file.size - at) / pace > this.#upload.expires_at - now();
	}

	async #sendAnew() {
		const { signal } = this.#stop;
		this.whole = true;
		this.#pace = [];
		await this.#discard();
		signal.throwIfAborted();
		return this.#sendWhole();
	}

	async #begin() {
		const { name, size, type } = this.file;
		const about = { filename: name, bytes: size, mime_type: type || 'application/octet-stream', purpose: this.purpose, expires_after: this.expiry ?? undefined };
		this.#upload = await this.#post('', about);
		this.#parts = [];
	}

	/** POST to what is started, or to start it. */
	async #post(verb, body) {
		const path = this.#upload ? `/v1/uploads/${this.#upload.id}${verb}` : '/v1/uploads';
		return read(await post(path, body, this.#stop.signal), 'json');
	}

	#sendPart(at) {
		const form = new FormData();
		form.append('data', this.file.slice(at, at + PART), 'part');
		return this.#transfer(`/v1/uploads/${this.#upload.id}/parts`, form, at);
	}

	/** Try again, after a while, what a repeat may cure. */
	async #insist(attempt) {
		const { signal } = this.#stop;
		for (let tries = 1; ; tries += 1) {
			try {
				return await attempt();
			} catch (e) {
				if (e.code === 'upload_not_found') {
					this.#upload = null; // trying again begins anew
					e.message = 'The hour within which a large file has to arrive is over.';
				}
				if (!(e instanceof ApiError) || e.final || tries === TRIES) throw e;
				await pause(Math.max(e.wait, tries), signal);
				signal.throwIfAborted();
			}
		}
	}

	/** POST a form and tell of its progress, which fetch can't; `before` bytes of the file are there already. */
	#transfer(path, form, before) {
		const answer = new Promise((resolve, reject) => {
			const { signal } = this.#stop;
			const used = key.get();
			const request = new XMLHttpRequest();
			let silence; // from the first byte on: before, it may wait for a connection
			request.open('POST', path);
			request.setRequestHeader('Authorization', authorization().Authorization);
			request.upload.onprogress = (event) => {
				clearTimeout(silence);
				silence = setTimeout(() => request.abort(), SILENCE);
				this.#progress(Math.min(before + event.loaded, this.file.size));
			};
			request.upload.onloadend = () => clearTimeout(silence);
			request.onload = () => {
				if (request.status === 200) resolve(request.responseText);
				else reject(problem(request.status, request.responseText, { get: (name) => request.getResponseHeader(name) }, used));
			};
			request.onerror = async () => reject(await this.file.slice(0, 1).arrayBuffer().then(unreachable, changed));
			request.onabort = () => reject(signal.aborted ? signal.reason : unreachable());
			signal.addEventListener('abort', () => request.abort());
			request.send(form);
		});
		return arrived(answer.then(JSON.parse));
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
