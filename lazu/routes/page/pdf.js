/**
 * A PDF without what it could run, for the browser's own viewer: that one runs a document's scripts, and in a sandboxed frame
 * shows nothing (docs/decisions/0090-page.md). Every object is read and written anew, actions left out, so that the viewer
 * sees only what was understood here (ISO 32000-1 §7). What can't be read so is not shown.
 */

const SPACE = /(?:[\0\s]|%[^\r\n]*)*/y;
const WORD = /[^\0\s()<>[\]{}/%]+/y;
const REF = /(\d{1,7})\s+\d{1,5}\s+R(?![^\0\s()<>[\]{}/%])/y;
const OBJECT = /(?<!\d)(\d{1,7})\s+\d{1,5}\s+obj/g;
const DEEPEST = 60;

/** Entries that start something or lead out of the file. */
const LEFT_OUT = new Set('JS JavaScript OpenAction AcroForm XFA EmbeddedFiles EF RichMediaContent'.split(' '));

/** Actions other than going to a page. */
const ACTIONS = new Set('JavaScript Launch URI GoToR GoToE SubmitForm ImportData ResetForm Rendition RichMediaExecute Movie Sound Named Hide'.split(' '));

/**
 * Names that must not be in the copy, however spelled (each letter may be `#` and its code), not even within a stream: a
 * viewer that mends a broken file looks for objects there too.
 */
const [ENCRYPTED, ...NEVER] = ['Encrypt', 'JavaScript', 'ObjStm', 'AcroForm'].map((name) => new RegExp(`/${[...name].map((c) => `(${c}|#${c.charCodeAt(0).toString(16)})`).join('')}`, 'i'));

class Name extends String {}
class Ref extends String {}
class Stream {
	constructor(dict, data) {
		Object.assign(this, { dict, data });
	}
}

/** Reads values out of `text`, whose characters are bytes. */
class Reader {
	constructor(text, at = 0) {
		Object.assign(this, { text, at });
	}

	match(pattern) {
		pattern.lastIndex = this.at;
		const found = pattern.exec(this.text);
		if (found) this.at = pattern.lastIndex;
		return found;
	}

	value(depth = 0) {
		if (depth > DEEPEST) throw new RangeError('too deep');
		this.match(SPACE);
		const [c, next] = [this.text[this.at], this.text[this.at + 1]];
		if (c === '<' && next === '<') return this.dict(depth);
		if (c === '[') return this.list(']', depth);
		if (c === '(') return this.literal();
		if (c === '<') return this.match(/<[0-9A-Fa-f\s]*>/y)[0].replace(/\s/g, '');
		if (c === '/') return this.name();
		const ref = this.match(REF);
		if (ref) return new Ref(`${Number(ref[1])} 0 R`);
		const [word] = this.match(WORD);
		if (!/^([+-]?[\d.]+|true|false|null)$/.test(word)) throw new SyntaxError(word);
		return word;
	}

	name() {
		this.at += 1;
		return new Name((this.match(WORD)?.[0] ?? '').replace(/#([0-9A-Fa-f]{2})/g, (_, code) => String.fromCharCode(parseInt(code, 16))));
	}

	list(end, depth) {
		this.at += end.length;
		const values = [];
		for (this.match(SPACE); !this.text.startsWith(end, this.at); this.match(SPACE)) values.push(this.value(depth + 1));
		this.at += end.length;
		return values;
	}

	dict(depth) {
		const values = this.list('>>', depth);
		const dict = new Map();
		for (let i = 0; i + 1 < values.length; i += 2) dict.set(String(values[i]), values[i + 1]);
		return dict;
	}

	literal() {
		const start = this.at;
		let open = 0;
		do {
			const c = this.text[this.at++];
			if (c === undefined) throw new SyntaxError('no end');
			if (c === '\\') this.at += 1;
			else open += (c === '(') - (c === ')');
		} while (open);
		return this.text.slice(start, this.at);
	}

	/** The object that stands here: a value, or a stream. */
	object(data) {
		const dict = this.value();
		this.match(SPACE);
		if (!(dict instanceof Map) || !this.match(/stream(\r\n?|\n)/y)) return dict;
		const start = this.at;
		const said = start + Number(dict.get('Length'));
		const end = /^\s*endstream/.test(this.text.slice(said, said + 14)) ? said : this.text.indexOf('endstream', start);
		if (end < 0) throw new SyntaxError('no end');
		this.at = end;
		return new Stream(dict, data.subarray(start, end));
	}
}

function characters(data) {
	let text = '';
	for (let at = 0; at < data.length; at += 32768) text += String.fromCharCode(...data.subarray(at, at + 32768));
	return text;
}

async function inflate(data) {
	const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream('deflate'));
	return new Uint8Array(await new Response(stream).arrayBuffer());
}

const is = (value, name) => value instanceof Name && String(value) === name;

/** All objects by number, those within object streams too, and the reference of the document's catalog. */
async function read(data) {
	const text = characters(data);
	if (ENCRYPTED.test(text)) throw new SyntaxError('encrypted');
	const objects = new Map();
	let root = null;
	const note = (dict) => (root = dict.get('Root') ?? root);
	OBJECT.lastIndex = 0;
	for (let found = OBJECT.exec(text); found; found = OBJECT.exec(text)) {
		const reader = new Reader(text, OBJECT.lastIndex);
		const object = reader.object(data);
		OBJECT.lastIndex = reader.at;
		const type = object instanceof Stream && object.dict.get('Type');
		if (type instanceof Ref) throw new SyntaxError('a type elsewhere');
		if (is(type, 'ObjStm')) await unpack(object, objects);
		else if (is(type, 'XRef')) note(object.dict);
		else objects.set(Number(found[1]), object);
	}
	for (const found of text.matchAll(/trailer\s*(?=<<)/g)) note(new Reader(text, found.index + found[0].length).value());
	return { objects, root };
}

/** Take the objects out of an object stream (§7.5.7). */
async function unpack({ dict, data }, objects) {
	if (!is([dict.get('Filter')].flat()[0], 'FlateDecode') || dict.has('DecodeParms')) throw new SyntaxError('packed otherwise');
	const text = characters(await inflate(data));
	const head = new Reader(text);
	for (let left = Number(dict.get('N')); left > 0; left -= 1) {
		const number = Number(head.value());
		objects.set(number, new Reader(text, Number(dict.get('First')) + Number(head.value())).value());
	}
}

/** A value as text, without what is left out. */
function write(value) {
	if (value instanceof Name) return `/${[...value].map((c) => (/[\w.+-]/.test(c) ? c : `#${c.charCodeAt(0).toString(16).padStart(2, '0')}`)).join('')}`;
	if (Array.isArray(value)) return `[${value.map(write).join(' ')}]`;
	if (!(value instanceof Map)) return String(value);
	const kind = value.get('S');
	if (kind instanceof Ref || ACTIONS.has(String(kind))) return 'null';
	const kept = [...value].filter(([name]) => !LEFT_OUT.has(name));
	return `<<${kept.map(([name, each]) => `${write(new Name(name))} ${write(each)}`).join('\n')}>>`;
}

function compose(objects, root) {
	const parts = [];
	let size = 0;
	const add = (part) => {
		const bytes = typeof part === 'string' ? Uint8Array.from(part, (c) => c.charCodeAt(0)) : part;
		parts.push(bytes);
		size += bytes.length;
	};
	const places = [];
	add('%PDF-1.7\n');
	for (const [number, object] of objects) {
		places.push([number, size]);
		add(`${number} 0 obj\n`);
		if (object instanceof Stream) addStream(object, add);
		else add(write(object));
		add('\nendobj\n');
	}
	const start = size;
	const rows = places.map(([number, at]) => `${number} 1\n${String(at).padStart(10, '0')} 00000 n \n`).join('');
	add(`xref\n0 1\n0000000000 65535 f \n${rows}trailer<</Size ${Math.max(...objects.keys()) + 1}/Root ${root}>>\nstartxref\n${start}\n%%EOF\n`);
	return new Blob(parts);
}

function addStream({ dict, data }, add) {
	const own = new Map([...dict].filter(([name]) => !['F', 'FFilter', 'FDecodeParms'].includes(name)));
	add(`${write(own.set('Length', String(data.length)))}\nstream\n`);
	add(data);
	add('\nendstream');
}

/** A copy of the PDF `data` that runs nothing; null if there can be none. */
export async function tame(data) {
	try {
		const { objects, root } = await read(data);
		if (!(root instanceof Ref)) return null;
		const copy = new Uint8Array(await compose(objects, root).arrayBuffer());
		const text = characters(copy);
		return NEVER.some((name) => name.test(text)) ? null : copy;
	} catch {
		return null; // damaged, or made to be
	}
}
