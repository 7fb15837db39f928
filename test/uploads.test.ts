import { randomBytes } from 'node:crypto'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { parse as parseDisposition } from 'content-disposition'
import t, { type Test } from 'tap'
import { isMediaType } from '#src/files/names.ts'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { digestField, sha256Of } from './kit/digests.ts'
import { namesOf, sharedServer, signUp, startServer, type Answer, type RunningServer, type Settings } from './kit/server.ts'
import { refused, answerToHead } from './kit/refusals.ts'
import { isProof, KIB } from './kit/sizes.ts'
import { runSql, skipWithoutFolder, skipWithoutSqlite, storedBlobs, uploadsBegun } from './kit/stores.ts'
import { areTidy, isTidy } from './kit/tidy.ts'
import { eventually, until } from './kit/waiting.ts'

const BOUNDARY = 'boundary-of-a-test'
const FORM_TYPE = `multipart/form-data; boundary=${BOUNDARY}`
const FORM_OVERHEAD = 64 * KIB

/** The settings of the servers that the tests share. */
const LIMITED = { MAX_FILE_BYTES: '200000', ALLOWED_EXTENSIONS: '.pdf, TXT, bin' }
const QUOTAS = { QUOTA_BYTES: '1050' }

async function open (settings: Settings = {}) {
  const server = await sharedServer(settings)
  return { ...await openOn(server), isTidy: () => isTidy(server.dataDir) }
}

/** An account of a server. */
async function openOn (server: RunningServer) {
  const { id, token } = await signUp(server)
  return {
    server,
    id,
    token,
    put: (name: string, body: string | Uint8Array | Readable, headers: Record<string, string | string[]> = {}) => server.send('PUT', `/uploads/${percent(name)}`, { token, headers, body }),
    post: (body: Uint8Array | Readable, headers: Record<string, string | string[]> = {}) => server.send('POST', '/', { token, headers: { 'content-type': FORM_TYPE, ...headers }, body }),
    get: (name: string) => server.send('GET', `/uploads/${percent(name)}`, { token }),
    names: () => namesOf(server, { token })
  }
}

/** Every byte of a name as %XX. */
function percent (name: string): string {
  return Buffer.from(name).toString('hex').replace(/../g, '%$&')
}

/** Text as a header line of a form contains it: one character per byte. */
function utf8 (text: string): string {
  return Buffer.from(text).toString('latin1')
}

/** A form from the heads of its parts (one character per byte) and their bodies. */
function form (...parts: [head: string, body?: string | Uint8Array][]): Buffer {
  const pieces = parts.flatMap(([head, body = '']) => [Buffer.from(`--${BOUNDARY}\r\n${head}\r\n\r\n`, 'latin1'), Buffer.from(body), Buffer.from('\r\n')])
  return Buffer.concat([...pieces, Buffer.from(`--${BOUNDARY}--\r\n`)])
}

function disposition (parameters: string): string {
  return `Content-Disposition: form-data; ${parameters}`
}

function filePart (name: string, bytes: string | Uint8Array = 'bytes'): [string, string | Uint8Array] {
  return [disposition(`name="file"; filename="${utf8(name).replaceAll('"', '\\"')}"`), bytes]
}

/** Asserts the status and these JSON properties exactly (`t.match` accepts a substring). */
function answered (t: Test, answer: Answer, expected: { status: number, name?: string, size?: number, type?: string, sha256?: string }, message = 'the file'): void {
  const properties = Object.keys(expected).map(key => [key, key === 'status' ? answer.status : answer.json[key]])
  t.same(Object.fromEntries(properties), expected, message)
}

/** A body in pieces, which the server receives one by one. */
async function * inPieces (bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) {
    yield bytes.subarray(at, at + size)
    await nextTurn()
  }
}

const keptNames = [
  'report.pdf', 'no-extension', '.hidden', '...', 'trailing.', '.leading', ' spaces at both ends ', ' ', '  .  ',
  '100%.txt', '%', '%2F', '%00', '%22', '%zz', 'a;b=c, d.txt', "it's (1) *!~.txt", 'a+b&c#d?e=f.txt', '<img src=x onerror=alert(1)>.html', '$(reboot) `id` |x',
  'ünïcödé.txt', '日本語の名前.txt', 'имя.txt', 'שלום.txt', '🧙‍♀️ 👩🏽‍🚀.png', '\u{1F600}', 'ﬁ ligature', 'zero\u200Bwidth', '\uFEFFbom', '\u202Ertl', 'soft\u00ADhyphen', '\u2028', '\uFFFF', '\u{10FFFF}',
  'two words.txt', '"', "UTF-8''x", 'a,b.txt', 'filename*=x', 'attachment; filename=x', '%41%42.txt', 'ÿ', '\u202Egnp.exe', '\uD7FF\uE000', 'a\u00A0b', 'a*b(c)[d]{e}.txt', '`$(id)`', 'C:file', '😀'.repeat(63),
  '__proto__', 'constructor', 'CON', 'nul.txt', '~', '-rf', 'a'.repeat(255), 'é'.repeat(127) + 'x', '漢'.repeat(85)
]

t.test('a name is kept as it was sent, by form and by path, and comes back in every place', async t => {
  const { server, post, put, get, names } = await open()
  for (const name of keptNames) {
    const posted = await post(form(filePart(name, `posted ${name}`)))
    answered(t, posted, { status: 201, name }, `POST ${name}`)
    const { location = '' } = posted.headers
    t.equal(decodeURIComponent(location.replace('/uploads/', '')), name, 'Location')
    const download = await get(name)
    t.same({ status: download.status, text: download.text }, { status: 200, text: `posted ${name}` })
    const header = download.headers['content-disposition'] ?? ''
    t.match(header, /^attachment; filename=[ -~]+; filename\*=UTF-8''[A-Za-z0-9!#$&+.^_`|~%-]+$/, name)
    t.equal(parseDisposition(header).parameters.filename, name)
    t.equal(parseDisposition(header, { extended: false }).parameters.filename, name.replace(/[^ -~]|%/gu, '_'), 'what a client sees that knows no filename*')
    answered(t, await put(name, `put ${name}`), { status: 200, name }, `PUT ${name}`)
    t.equal((await get(name)).text, `put ${name}`)
  }
  t.equal((await server.send('GET', '/uploads/report.pdf')).status, 401, 'Location is an address of the server')
  t.same((await names()).sort(), keptNames.toSorted())
})

t.test('the name of a form is read as clients write it', async t => {
  const { post, get } = await open()
  const variants: [parameters: string, name: string][] = [
    ['name="file"; filename="a \\"quoted\\" name.txt"', 'a "quoted" name.txt'],
    ['name="file"; filename="%22kept%22.txt"', '%22kept%22.txt'],
    ['name="file"; filename="C:\\Users\\ann\\windows.txt"', 'windows.txt'],
    ['name="file"; filename="C:\\Users\\\\ann\\\\doubled.txt"', 'doubled.txt'],
    ['name="file"; filename="/home/ann/unix.txt"', 'unix.txt'],
    ['name="file"; filename="C:\\mixed/separators.txt"', 'separators.txt'],
    ['name="file"; filename="../../../etc/passwd"', 'passwd'],
    ['name="file"; filename="..\\..\\boot.ini"', 'boot.ini'],
    ['name="file"; filename="star.txt"; filename*=UTF-8\'\'ignored.txt', 'star.txt'],
    ['filename*=UTF-8\'\'ignored.txt; filename="star2.txt"; name="file"', 'star2.txt'],
    ['name="file"; filename*=UTF-8\'\'only%20star.txt', 'only star.txt'],
    ['name=file; filename=token.txt', 'token.txt'],
    ['NAME="file"; FILENAME="upper.txt"', 'upper.txt'],
    ['name = "file" ;filename = "spaced.txt" ; ; other=1;', 'spaced.txt'],
    ['name="file"; filename="semi;colon; name=x.txt"', 'semi;colon; name=x.txt']
  ]
  for (const [parameters, name] of variants) {
    const answer = await post(form([disposition(parameters), parameters]))
    answered(t, answer, { status: 201, name }, parameters)
    t.equal((await get(name)).text, parameters)
  }
  const bare = await post(form(['content-disposition:FORM-DATA; name="file"; filename="lower.txt"\r\nX-Other: 1', 'x']))
  answered(t, bare, { status: 201, name: 'lower.txt' }, 'fields in any case, others passed over')
})

t.test('names that differ only in normalisation are one name', async t => {
  const { server, token, post, put, get, names } = await open()
  const [nfc, nfd] = ['Ame\u0301lie.txt'.normalize('NFC'), 'Ame\u0301lie.txt']
  answered(t, await post(form(filePart(nfd, 'one'))), { status: 201, name: nfc })
  t.equal((await post(form(filePart(nfc, 'one')))).status, 200)
  t.equal((await put(nfd, 'two')).status, 200)
  t.equal((await get(nfd)).text, 'two')
  t.equal((await get(nfc)).text, 'two')
  t.equal((await post(form(filePart('e\u0301'.repeat(127), 'long')))).json.name, '\u00E9'.repeat(127), 'the length counts after NFC')
  const shortened = '\u1FBE\u0308\u0301'.repeat(127) + '!'
  t.equal((await post(form(filePart(shortened, 'shortened')))).json.name, `${'\u0390'.repeat(127)}!`, 'also of the sequence that NFC makes shortest')
  refused(t, await post(form(filePart(`${shortened}!`, 'long'))), 400, 'name_invalid', 'and one byte more is too long')
  t.same(await names(), [nfc, '\u00E9'.repeat(127), `${'\u0390'.repeat(127)}!`])
  for (const name of ['\uD800', 'cut \uDBFF', '\uDC00\uD800']) {
    refused(t, await server.send('PATCH', `/api/files/${percent(nfc)}`, { token, json: { name } }), 400, 'name_invalid', 'a name that is no Unicode')
  }
})

t.test('a name that can\'t be kept is refused, and nothing is stored', async t => {
  const { post, put, names } = await open()
  const refusedNames = ['.', '..', 'a'.repeat(256), 'é'.repeat(128), 'bell\x07', 'tab\t', 'delete\x7F', 'next\u0085line', 'first\x01']
  for (const name of refusedNames) {
    refused(t, await post(form(filePart(name))), 400, 'name_invalid', `POST ${JSON.stringify(name)}`)
    refused(t, await put(name, 'bytes'), 400, 'name_invalid', `PUT ${JSON.stringify(name)}`)
  }
  for (const name of ['', 'folder/', 'C:\\\\', '/', 'folder/..']) refused(t, await post(form(filePart(name))), 400, 'name_invalid', `POST ${JSON.stringify(name)}`)
  refused(t, await put('a\r', 'bytes'), 400, 'name_invalid', 'PUT a\\r')
  for (const name of ['bad\xFF', 'cut\xC3', '\xED\xA0\x80surrogate', 'overlong\xC0\xAF', utf8('replaced\uFFFD')]) {
    refused(t, await post(form([disposition(`name="file"; filename="${name}"`), 'bytes'])), 400, 'malformed_multipart', `POST bytes ${JSON.stringify(name)}`)
  }
  refused(t, await post(form(filePart('zero\0'))), 400, 'name_invalid', 'POST zero')
  for (const name of ['lf\nx', 'cr\rx']) refused(t, await post(form(filePart(name))), 400, 'malformed_multipart', `POST ${JSON.stringify(name)}`)
  t.same(await names(), [])
})

t.test('the media type is the declared one if it is well formed, else the one of the extension', async t => {
  const { put, post, get } = await open()
  const types: [name: string, declared: string | undefined, type: string][] = [
    ['a.txt', 'image/png', 'image/png'],
    ['b.txt', 'Text/HTML; charset="utf-8"; x=1', 'Text/HTML; charset="utf-8"; x=1'],
    ['c.txt', 'a/b; c="q\\"uo;ted"', 'a/b; c="q\\"uo;ted"'],
    ['d.txt', 'application/vnd.x+json;;a=b', 'application/vnd.x+json;;a=b'],
    ['e.txt', undefined, 'text/plain'],
    ['f.PDF', 'nonsense', 'application/pdf'],
    ['g.png', 'image/', 'image/png'],
    ['h.png', '', 'image/png'],
    ['i.json', 'text/plain; charset', 'application/json'],
    ['j.json', 'text/plain; a="open', 'application/json'],
    ['k.json', 't\u00E9xt/plain', 'application/json'],
    ['l.json', `text/plain; a=${'x'.repeat(300)}`, 'application/json'],
    ['m.json', 'text/plain, text/html', 'application/json'],
    ['n.unknown-to-all', undefined, 'application/octet-stream'],
    ['no-extension', 'bad', 'application/octet-stream'],
    ['html', undefined, 'application/octet-stream'],
    ['.html', undefined, 'application/octet-stream'],
    ['o.tar.gz', undefined, 'application/gzip']
  ]
  for (const [name, declared, type] of types) {
    const head = `${filePart(name)[0]}${declared === undefined ? '' : `\r\nContent-Type: ${declared}`}`
    const posted = await post(form([head, 'x']))
    answered(t, posted, { status: 201, type }, `POST ${name} as ${declared}`)
    t.equal((await get(name)).headers['content-type'], type)
    const replaced = await put(name, 'xx', declared === undefined ? {} : { 'content-type': declared })
    answered(t, replaced, { status: 200, type }, `PUT ${name} as ${declared}`)
    t.equal((await get(name)).headers['content-type'], type)
  }
  const chunked = await put('a.txt', Readable.from(['xxx']), { 'content-type': 'a/b' })
  answered(t, chunked, { status: 200, type: 'a/b' }, 'PUT without a length')
  for (const declared of ['application/x-www-form-urlencoded', 'Application/X-WWW-Form-URLEncoded; charset=UTF-8']) {
    answered(t, await put('a.txt', 'xx', { 'content-type': declared }), { status: 200, type: 'text/plain' }, `PUT as ${declared}, as curl and wget declare every body`)
    answered(t, await post(form([`${filePart('p.txt')[0]}\r\nContent-Type: ${declared}`, 'x'])), { status: declared.startsWith('a') ? 201 : 200, type: 'application/x-www-form-urlencoded' }, 'a part of a form is not declared by itself')
  }
  t.notOk(isMediaType(`a/b${'; '.repeat(120)}!`), 'a type made to be slow is judged at once')
})

t.test('a form is taken with one file in the field named file, whatever else it contains', async t => {
  const { post, get, names } = await open()
  const field: [string, string] = [disposition('name="comment"'), 'text\r\n--not-the-boundary\r\n']
  const nameless: [string, string] = [disposition('name="file"'), 'a field without a filename is no file']
  const [start, end] = ['X: ', `\r\n${disposition('name="file"; filename="head.txt"')}`]
  const full = `${start}${'x'.repeat(16 * KIB - start.length - end.length - 2)}${end}`
  const taken: [what: string, body: Buffer, name: string][] = [
    ['fields before', form(field, nameless, filePart('before.txt')), 'before.txt'],
    ['fields behind', form(filePart('behind.txt'), field, nameless), 'behind.txt'],
    ['fields called like properties', form([disposition('name="__proto__"'), 'x'], filePart('proto.txt'), [disposition('name="constructor"'), 'x']), 'proto.txt'],
    ['a field of JSON that is not', form([`${disposition('name="json"')}\r\nContent-Type: application/json`, '{'], filePart('json.txt')), 'json.txt'],
    ['large fields', form([disposition('name="large"'), 'x'.repeat(1_000_000)], filePart('large.txt'), [disposition('name="large"'), 'x'.repeat(1_000_000)]), 'large.txt'],
    ['a preamble and an epilogue', Buffer.concat([Buffer.from('preamble\r\n\r\nof two paragraphs\r\n'), form(filePart('around.txt')), Buffer.from('epilogue')]), 'around.txt'],
    ['a long epilogue', Buffer.concat([form(filePart('epilogue.txt')), Buffer.alloc(1_000_000, 'x')]), 'epilogue.txt'],
    ['no line end behind the form', form(filePart('tight.txt')).subarray(0, -2), 'tight.txt'],
    ['a head of 16 KiB', form([full, 'bytes']), 'head.txt'],
    ['a thousand parts', form(...Array<[string, string]>(999).fill(field), filePart('thousandth.txt')), 'thousandth.txt']
  ]
  for (const [what, body, name] of taken) {
    const answer = await post(body)
    answered(t, answer, { status: 201, name, size: 5 }, what)
    t.equal((await get(name)).text, 'bytes', what)
  }
  const boundary = `0aZ'()+_,-./:=? ${'x'.repeat(54)}`
  const bounded = Buffer.from(form(filePart('tight.txt')).toString().replaceAll(BOUNDARY, boundary))
  t.equal((await post(bounded, { 'content-type': `multipart/form-data; charset=utf-8; BOUNDARY="${boundary}"; x=1` })).status, 200, 'a boundary of 70 characters of every kind')
  const refusedForms: [what: string, body: Buffer, code: string][] = [
    ['no file', form(field), 'file_missing'],
    ['a field named file without a filename', form(nameless), 'file_missing'],
    ['an empty form', form(), 'file_missing'],
    ['two files', form(filePart('1.txt'), filePart('2.txt')), 'file_unexpected'],
    ['the same file twice', form(filePart('1.txt'), filePart('1.txt')), 'file_unexpected'],
    ['another field name', form([disposition('name="upload"; filename="1.txt"'), 'x']), 'file_unexpected'],
    ['another field name in capitals', form([disposition('name="File"; filename="1.txt"'), 'x']), 'file_unexpected'],
    ['the file and one in another field', form(filePart('1.txt'), [disposition('name="upload"; filename="2.txt"'), 'x']), 'file_unexpected'],
    ['one in another field and the file', form([disposition('name="upload"; filename="2.txt"'), 'x'], filePart('1.txt')), 'file_unexpected'],
    ['a file input that was left empty', form([`${disposition('name="file"; filename=""')}\r\nContent-Type: application/octet-stream`]), 'name_invalid'],
    ['a file in a field called like a property', form(filePart('1.txt'), [disposition('name="__proto__"; filename="2.txt"'), 'x']), 'file_unexpected'],
    ['a file in a field without a name', form([disposition('filename="1.txt"'), 'x']), 'file_unexpected'],
    ['nothing at all', Buffer.alloc(0), 'file_missing']
  ]
  for (const [what, body, code] of refusedForms) refused(t, await post(body), 400, code, what)
  t.equal((await names()).length, taken.length)
})

t.test('a form that is not well formed is refused, and nothing is stored', async t => {
  const { server, token, post, names } = await open()
  const good = form(filePart('x.txt'))
  const heads: [what: string, head: string, code: string][] = [
    ['an empty head', '', 'malformed_multipart'],
    ['no disposition', 'Content-Type: text/plain', 'malformed_multipart'],
    ['another disposition', 'Content-Disposition: attachment; name="file"; filename="x.txt"', 'malformed_multipart'],
    ['a disposition that runs on', 'Content-Disposition: form-data2; name="file"; filename="x.txt"', 'malformed_multipart'],
    ['a field name that is not UTF-8', disposition('name="\xFF"; filename="x.txt"'), 'file_unexpected'],
    ['a line without a colon before', `nonsense\r\n${disposition('name="file"; filename="x.txt"')}`, 'malformed_multipart'],
    ['space before the colon', 'Content-Disposition : form-data; name="file"; filename="x.txt"', 'malformed_multipart'],
    ['a giant field before', `X: ${'x'.repeat(16 * KIB)}\r\n${disposition('name="file"; filename="x.txt"')}`, 'malformed_multipart'],
    ['a giant filename', disposition(`name="file"; filename="${'x'.repeat(1_000_000)}"`), 'name_invalid'],
    ['very many fields before', `${Array.from({ length: 100 }, (_, index) => `X-${index}: 1\r\n`).join('')}${disposition('name="file"; filename="x.txt"')}`, 'malformed_multipart']
  ]
  for (const [what, head, code] of heads) refused(t, await post(form([head, 'bytes'])), 400, code, what)

  const bodies: [what: string, body: Buffer, code: string][] = [
    ['line ends of LF only', Buffer.from(good.toString().replaceAll('\r\n', '\n')), 'malformed_multipart'],
    ['ten thousand parts', form(...Array<[string, string]>(10_000).fill([disposition('name="x"'), 'x']), filePart('x.txt')), 'malformed_multipart'],
    ['a thousand and one parts', form(...Array<[string, string]>(1000).fill([disposition('name="x"'), 'x']), filePart('x.txt')), 'malformed_multipart'],
    ['a head that never ends', Buffer.concat([Buffer.from(`--${BOUNDARY}\r\n`), Buffer.alloc(100_000, 'x')]), 'upload_incomplete'],
    ['text behind a delimiter', Buffer.from(good.toString().replace(`--${BOUNDARY}\r\n`, `--${BOUNDARY} x\r\n`)), 'malformed_multipart'],
    ['a delimiter with other text in the file', form([disposition('name="file"; filename="x.txt"'), `first\r\n--${BOUNDARY}x second\r\n\r\nhalf`]), 'malformed_multipart'],
    ['a part that is no form data', form(['Content-Disposition: attachment; filename="other.txt"', 'x'], filePart('x.txt')), 'malformed_multipart'],
    ['a part without headers behind the file', form(filePart('x.txt'), ['', 'second half']), 'malformed_multipart'],
    ['another boundary than announced', Buffer.from(good.toString().replaceAll(BOUNDARY, 'another')), 'upload_incomplete'],
    ['no form at all', Buffer.from('{"file": "x"}'), 'upload_incomplete']
  ]
  for (const [what, body, code] of bodies) refused(t, await post(body), 400, code, what)

  for (const parameters of ['', ';', '; boundary', '; boundary=', '; boundary=""', '; boundary=" "', `; boundary=${'x'.repeat(71)}`, '; boundary="with\u00E9"', '; boundary="x "', '; boundary="a\\"b"', '; charset=utf-8']) {
    const answer = await post(good, { 'content-type': `multipart/form-data${parameters}` })
    refused(t, answer, 400, 'malformed_multipart', `multipart/form-data${parameters}`)
  }
  // The boundary is inside another parameter, so that the parser finds none, or one that is too long for it.
  for (const parameters of ['; x="; boundary=x "', `; x="; boundary=x "; boundary="${'x'.repeat(300)}"`]) {
    refused(t, await post(good, { 'content-type': `multipart/form-data${parameters}` }), 400, 'upload_incomplete', `multipart/form-data${parameters}`)
  }
  for (const type of ['application/json', 'application/x-www-form-urlencoded', 'multipart/mixed; boundary=x', 'text/plain', 'nonsense', '']) {
    refused(t, await server.send('POST', '/', { token, headers: { 'content-type': type }, body: good }), 415, 'unsupported_media_type', `a form as ${type}`)
  }
  refused(t, await server.send('POST', '/', { token, body: good }), 415, 'unsupported_media_type', 'a form as nothing')
  refused(t, await server.send('POST', '/', { token }), 400, 'file_missing', 'no body')
  t.same(await names(), [])
})

t.test('a form cut anywhere before its end answers 400 and leaves nothing', async t => {
  const { post, names, isTidy } = await open()
  const body = form([disposition('name="comment"'), 'c'], [`${filePart('cut.txt')[0]}\r\nContent-Type: text/plain`, `bytes\r\n--${BOUNDARY.slice(0, 9)}\r\n`])
  const wholeAt = body.length - '\r\n'.length
  // Proofs cut it at each byte.
  for (let length = 1; length < wholeAt; length += isProof ? 1 : 4) {
    const answer = await post(body.subarray(0, length))
    if (answer.status !== 400 || answer.json.code !== 'upload_incomplete') t.fail(`cut at ${length}: ${answer.status} ${answer.text}`)
  }
  for (const length of [1, 60, wholeAt - 60, wholeAt - 1]) refused(t, await post(Readable.from([body.subarray(0, length)])), 400, 'upload_incomplete', `chunked, cut at ${length}`)
  t.same(await names(), [])
  t.ok(await eventually(isTidy))
  t.equal((await post(body.subarray(0, wholeAt))).status, 201, 'the closing boundary is whole')
  t.same(await names(), ['cut.txt'])
})

t.test('bytes that look like a boundary are bytes, wherever the body is cut into pieces', async t => {
  const tails = ['\r', '\r\n', '\r\n-', '\r\n--', `\r\n--${BOUNDARY.slice(0, -1)}`, `\r\n\r\n--${BOUNDARY.slice(0, -1)}\r\n--b\r`, `--${BOUNDARY}`, `\n--${BOUNDARY}--\n`]
  const bytes = Buffer.from(`${tails.join('')}${tails.toReversed().join('middle')}`)
  const body = form([disposition('name="before"'), bytes], filePart('edges.bin', bytes))
  const { post, get, put } = await open()
  const sizes = isProof ? Array.from({ length: 64 }, (_, index) => index + 1) : [1, 2, 3, 5, 8, 13, 19, 21, 23, 34, 64]
  for (const [index, size] of [...sizes, body.length].entries()) {
    for (const headers of [{}, { 'content-length': String(body.length) }].filter((_, way) => isProof || way === index % 2)) {
      const answer = await post(Readable.from(inPieces(body, size)), headers)
      t.match(answer.status, /^20[01]$/)
      answered(t, answer, { status: answer.status, size: bytes.length, sha256: sha256Of(bytes) }, `pieces of ${size} over the wire`)
    }
    t.equal((await put('raw.bin', Readable.from(inPieces(bytes, size)))).json.size, bytes.length)
    t.ok((await get('raw.bin')).bytes.equals(bytes))
  }
  t.ok((await get('edges.bin')).bytes.equals(bytes))
  const large = randomBytes(3_500_000)
  t.equal((await post(form(filePart('large.bin', large)))).status, 201)
  t.ok((await get('large.bin')).bytes.equals(large))
  t.equal((await post(Readable.from(inPieces(form(filePart('large.bin', large)), 99_991)))).status, 200)
})

t.test('a file of exactly the limit is taken, one byte more is refused', async t => {
  const limit = Number(LIMITED.MAX_FILE_BYTES)
  const { server, token, post, put, get, names } = await open(LIMITED)
  const exact = randomBytes(limit)
  const over = Buffer.concat([exact, Buffer.from('x')])
  t.equal((await post(form(filePart('form.bin', exact)))).status, 201)
  t.equal((await post(Readable.from([form(filePart('form-chunked.bin', exact))]))).status, 201)
  t.equal((await put('raw.bin', exact)).status, 201)
  t.equal((await put('raw-chunked.bin', Readable.from([exact]))).status, 201)
  for (const name of await names()) t.ok((await get(name)).bytes.equals(exact), name)

  refused(t, await post(form(filePart('over.bin', over))), 413, 'file_too_large', 'form, announced')
  refused(t, await post(Readable.from([form(filePart('over.bin', over))])), 413, 'file_too_large', 'form, chunked')
  const announced = await put('over.bin', over)
  refused(t, announced, 413, 'file_too_large', 'raw, announced')
  t.equal(announced.json.limit, limit, 'the limit is told')
  refused(t, await put('over.bin', Readable.from([over])), 413, 'file_too_large', 'raw, chunked')
  refused(t, await put('raw.bin', Readable.from([over])), 413, 'file_too_large', 'raw, in place of another')
  const field = form([disposition('name="comment"'), Buffer.alloc(limit + FORM_OVERHEAD)], filePart('small.txt'))
  refused(t, await post(Readable.from([field])), 413, 'file_too_large', 'a field that is larger than any file')

  const authorization = `Bearer ${token}`
  const head = { authorization, 'content-length': String(limit + 1) }
  t.same(await answerToHead(server, 'PUT', '/uploads/over.bin', head), [413, 'file_too_large'], 'raw, before the body')
  const formHead = { authorization, 'content-type': FORM_TYPE, 'content-length': String(limit + FORM_OVERHEAD + 1) }
  t.same(await answerToHead(server, 'POST', '/', formHead), [413, 'file_too_large'], 'form, before the body')
  t.same(await names(), ['form-chunked.bin', 'form.bin', 'raw-chunked.bin', 'raw.bin'])
  t.ok((await get('raw.bin')).bytes.equals(exact), 'what was there stays')
})

t.test('only allowed extensions are taken', async t => {
  const { server, token, post, put, names } = await open(LIMITED)
  for (const name of ['a.pdf', 'b.TXT', 'c.exe.Pdf']) t.equal((await post(form(filePart(name)))).status, 201, name)
  for (const name of ['a.exe', 'a.pdf.exe', 'pdf', '.pdf', 'a.pdf ', 'a.', 'a.pdf.', 'a.\uFF50df']) {
    refused(t, await post(form(filePart(name))), 415, 'extension_not_allowed', `POST ${name}`)
    refused(t, await put(name, 'x'), 415, 'extension_not_allowed', `PUT ${name}`)
  }
  t.same(await answerToHead(server, 'PUT', '/uploads/a.exe', { authorization: `Bearer ${token}`, 'content-length': '9' }), [415, 'extension_not_allowed'], 'before the body')
  t.same(await names(), ['a.pdf', 'b.TXT', 'c.exe.Pdf'])
})

t.test('an encoded body is refused, save as identity', async t => {
  const { post, put, names } = await open()
  for (const encoding of ['gzip', 'br', 'identity, gzip', 'x']) {
    const answer = await put('a.txt', 'x', { 'content-encoding': encoding })
    refused(t, answer, 415, 'content_encoding_unsupported', `PUT ${encoding}`)
    t.equal(answer.headers['accept-encoding'], 'identity')
    refused(t, await post(form(filePart('a.txt')), { 'content-encoding': encoding }), 415, 'content_encoding_unsupported', `POST ${encoding}`)
  }
  t.equal((await put('b.txt', 'x', { 'content-encoding': 'Identity' })).status, 201)
  t.equal((await post(form(filePart('c.txt')), { 'content-encoding': '' })).status, 201)
  t.same(await names(), ['b.txt', 'c.txt'])
})

t.test('digests that a client sends are verified before anything can be seen', async t => {
  const { post, put, names } = await open()
  const body = form(filePart('posted.txt', 'bytes'))
  const uploads = [
    { what: 'PUT', covered: Buffer.from('bytes'), send: (headers: Record<string, string | string[]>) => put('put.txt', 'bytes', headers) },
    { what: 'POST', covered: body, send: (headers: Record<string, string | string[]>) => post(body, headers) }
  ]
  for (const { what, covered, send } of uploads) {
    const sha256 = digestField('sha-256', covered)
    const wrong = [
      { 'content-digest': digestField('sha-256', 'other') },
      { 'content-digest': digestField('sha-512', 'other') },
      { 'repr-digest': digestField('sha-256', 'other') },
      { 'content-digest': sha256, 'repr-digest': digestField('sha-512', 'other') },
      { 'content-digest': sha256, 'repr-digest': digestField('sha-256', 'other') },
      { 'content-digest': `${sha256}, ${digestField('sha-512', 'other')}` },
      { 'content-digest': [sha256, digestField('sha-512', 'other')] }
    ]
    for (const headers of wrong) refused(t, await send(headers), 400, 'digest_mismatch', `${what} ${JSON.stringify(headers)}`)
    for (const field of ['sha-256=abc', 'sha-256', 'sha-256="abc"', 'sha-256=:AAAA:', 'sha-512=:AAAA:', 'sha-256=(1 2)', '???', 'sha-256=:!:', 'sha-256=1, ', 'SHA-256=:AAAA:']) {
      refused(t, await send({ 'content-digest': field }), 400, 'digest_malformed', `${what} ${field}`)
      refused(t, await send({ 'repr-digest': field }), 400, 'digest_malformed', `${what} ${field}`)
    }
    t.notOk((await names()).includes(`${what.toLowerCase()}.txt`))
  }
  refused(t, await post(body, { 'repr-digest': digestField('sha-256', 'bytes') }), 400, 'digest_mismatch', 'that of the file, where the form is covered')
  t.same(await names(), [])
  for (const { what, covered, send } of uploads) {
    const [sha256, sha512] = [digestField('sha-256', covered), digestField('sha-512', covered)]
    const right = [{ 'content-digest': sha256 }, { 'repr-digest': sha512 }, { 'content-digest': `md5=:AAAA:, ${sha512};x=1` }, { 'content-digest': [sha256, sha512], 'repr-digest': sha256 }, { 'content-digest': 'md5=:AAAA:' }, { 'repr-digest': 'constructor=:AAAA:' }, { 'content-digest': '' }]
    for (const headers of right) t.match((await send(headers)).status, /^20[01]$/, `${what} ${JSON.stringify(headers)}`)
  }
  t.equal((await names()).length, 2)
})

t.test('PUT stores any body as it is and never reads it as anything', async t => {
  const { server, token, put, get } = await open()
  const bodies: [type: string, bytes: string][] = [
    ['application/json', '{"broken": '],
    ['application/json', '{"__proto__": {"x": 1}}'],
    ['application/json', JSON.stringify('x'.repeat(100_000))],
    [FORM_TYPE, form(filePart('inner.txt')).toString()],
    ['text/plain', 'text']
  ]
  for (const [index, [type, bytes]] of bodies.entries()) {
    const answer = await put('any', bytes, { 'content-type': type })
    answered(t, answer, { status: index === 0 ? 201 : 200, type }, type)
    t.equal((await get('any')).text, bytes)
  }
  answered(t, await put('any', 'a=b&c=d', { 'content-type': 'application/x-www-form-urlencoded' }), { status: 200, type: 'application/octet-stream' })
  t.equal((await get('any')).text, 'a=b&c=d')
  const created = await server.send('PUT', '/uploads/new.txt', { token, body: 'new' })
  const etag = `"${sha256Of('new')}"`
  t.match(created, { status: 201, headers: { location: '/uploads/new.txt', etag } })
  const replaced = await server.send('PUT', '/uploads/new.txt', { token, body: 'newer' })
  t.match(replaced, { status: 200, headers: { etag: `"${sha256Of('newer')}"` } })
  t.notOk('location' in replaced.headers)
  t.equal(replaced.json.createdAt, created.json.createdAt)
  for (const range of ['bytes 0-1/5', 'bytes 0-4/5', 'nonsense', '']) {
    for (const name of ['new.txt', 'none.txt']) refused(t, await put(name, 'wh', { 'content-range': range }), 400, 'content_range_invalid', range)
  }
  t.equal((await get('new.txt')).text, 'newer', 'a range is never stored as the whole')
  t.equal((await get('none.txt')).status, 404)
  const without = await server.send('PUT', '/uploads/nothing', { token })
  answered(t, without, { status: 201, size: 0 }, 'no body at all')
})

t.test('PUT heeds its preconditions, before the body where it can', async t => {
  const { server, token, put, get } = await open()
  const { headers: { etag = '' } } = await put('a.txt', 'one', { 'if-none-match': '*' })
  const stale = '"0000"'
  const failing: [name: string, headers: Record<string, string>][] = [
    ['a.txt', { 'if-none-match': '*' }], ['a.txt', { 'if-none-match': etag }], ['a.txt', { 'if-match': stale }], ['a.txt', { 'if-match': `W/${etag}` }], ['b.txt', { 'if-match': '*' }], ['b.txt', { 'if-match': etag }]
  ]
  for (const [name, headers] of failing) {
    refused(t, await put(name, 'two', headers), 412, 'precondition_failed', `${name} ${JSON.stringify(headers)}`)
    t.same(await answerToHead(server, 'PUT', `/uploads/${name}`, { ...headers, authorization: `Bearer ${token}`, 'content-length': '1000' }), [412, 'precondition_failed'], 'before the body')
  }
  t.equal((await get('a.txt')).text, 'one')
  t.equal((await put('a.txt', 'two', { 'if-match': `${stale}, ${etag}` })).status, 200)
  t.equal((await put('a.txt', 'three', { 'if-none-match': etag })).status, 200)
  t.equal((await put('a.txt', 'four', { 'if-match': '*' })).status, 200)
  t.equal((await put('b.txt', 'four', { 'if-none-match': `"x", ${stale}` })).status, 201)
})

t.test('a client that leaves in the middle leaves nothing behind', async t => {
  const { server, token, names, isTidy } = await open()
  const whole = form(filePart('gone.bin', randomBytes(3_000_000)))
  const head = (method: string, path: string, ...lines: string[]) => [`${method} ${path} HTTP/1.1`, 'Host: x', `Authorization: Bearer ${token}`, ...lines, '', ''].join('\r\n')
  const uploads: [what: string, head: string][] = [
    ['raw, announced', head('PUT', '/uploads/gone.bin', `Content-Length: ${whole.length}`)],
    ['raw, chunked', head('PUT', '/uploads/gone.bin', 'Transfer-Encoding: chunked') + `${whole.length.toString(16)}\r\n`],
    ['form, announced', head('POST', '/', `Content-Type: ${FORM_TYPE}`, `Content-Length: ${whole.length}`)],
    ['form, chunked', head('POST', '/', `Content-Type: ${FORM_TYPE}`, 'Transfer-Encoding: chunked') + `${whole.length.toString(16)}\r\n`],
    ['chunked with a chunk that is none', head('PUT', '/uploads/gone.bin', 'Transfer-Encoding: chunked') + `${(2_000_000).toString(16)}\r\n`]
  ]
  for (const [index, [what, text]] of uploads.entries()) {
    for (const leave of (['destroy', 'end', 'resetAndDestroy'] as const).filter((_, way) => isProof || way === index % 3)) {
      const socket = connect(server.port, '127.0.0.1').on('error', () => {}).resume()
      socket.write(text)
      socket.write(whole.subarray(0, 2_000_000))
      if (what === 'chunked with a chunk that is none') socket.write('\r\nnonsense\r\n')
      else t.ok(await eventually(async () => await uploadsBegun(server.dataDir) === 1), `${what}: has begun`)
      socket[leave]()
      t.ok(await eventually(isTidy), `${what}: ${leave}`)
    }
  }
  t.same(await names(), [])
})

t.test('a quota of bytes is exact, and refuses before the body where it can', async t => {
  const { server, token, post, put, get } = await open(QUOTAS)
  for (let index = 0; index < 10; index++) t.equal((await put(`${index}`, Buffer.alloc(100, index))).status, 201)
  const authorization = `Bearer ${token}`
  t.same(await answerToHead(server, 'PUT', '/uploads/new', { authorization, 'content-length': '51' }), [413, 'quota_exceeded'], 'before the body')
  t.same(await answerToHead(server, 'POST', '/', { authorization, 'content-type': FORM_TYPE, 'content-length': String(FORM_OVERHEAD + 101) }), [413, 'quota_exceeded'], 'before a form')
  const chunked = await put('new', Readable.from([Buffer.alloc(51)]))
  refused(t, chunked, 413, 'quota_exceeded', 'chunked')
  t.match(chunked.json, { unit: 'bytes', remaining: 50 }, 'what is left is told')
  refused(t, await post(form(filePart('new', Buffer.alloc(51)))), 413, 'quota_exceeded', 'a form')
  t.equal((await put('fills', Buffer.alloc(50, 'f'))).status, 201)
  for (const upload of [Buffer.alloc(51), Readable.from([Buffer.alloc(51)])]) refused(t, await put('fills', upload), 413, 'quota_exceeded', 'in place of a smaller one')
  t.equal((await get('fills')).text, 'f'.repeat(50), 'what was there stays')
  t.equal((await post(form(filePart('fills', Buffer.alloc(50, 'f'))))).status, 200, 'the same again fits')
  t.equal((await put('fills', Buffer.alloc(50, 'g'))).status, 200, 'as many bytes fit')
})

t.test('a start commits what was acknowledged and sweeps what was not, however much it is', { skip: skipWithoutSqlite || skipWithoutFolder }, async t => {
  const server = await startServer(t)
  const { token, put } = await openOn(server)
  await put('committed.txt', 'committed')
  await put('pending.txt', 'pending')
  await server.close()
  const { dataDir } = server
  const id = () => randomBytes(16).toString('hex')
  const [moved = ''] = await storedBlobs(dataDir)
  renameSync(join(dataDir, 'blobs', moved.slice(0, 2), moved), join(dataDir, 'incoming', moved))
  for (let count = 0; count < 501; count++) writeFileSync(join(dataDir, 'incoming', id()), 'never acknowledged')
  const database = new Database(join(dataDir, 'magicstore.db'))
  const discard = database.prepare('INSERT INTO discarded_blobs (blob_id) VALUES (?)')
  for (let count = 0; count < 501; count++) {
    const blob = id()
    mkdirSync(join(dataDir, 'blobs', blob.slice(0, 2)), { recursive: true })
    if (count > 0) writeFileSync(join(dataDir, 'blobs', blob.slice(0, 2), blob), 'replaced or deleted')
    discard.run(blob)
  }
  database.close()

  const again = await startServer(t, { DATA_DIR: dataDir })
  for (const name of ['committed', 'pending']) t.equal((await again.send('GET', `/uploads/${name}.txt`, { token })).text, name)
  t.equal(await uploadsBegun(dataDir), 0, 'at once')
  await until(async () => (await runSql(dataDir, 'SELECT blob_id FROM discarded_blobs LIMIT 1')).length === 0)
  t.ok(await eventually(() => isTidy(dataDir)))
})

t.test('after all that, the bytes of files and of what is kept are stored, and nothing else', t => areTidy(t, {}, LIMITED, QUOTAS))
