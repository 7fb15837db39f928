import fc from 'fast-check'

/** A request before it is sent; in text fields one character is one byte. */
export interface WireRequest {
  readonly method: string
  readonly target: string
  readonly version: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** Raw lines after the headers, valid or not. */
  readonly lines: readonly string[]
  readonly body: Buffer
  readonly framing: string
}

/** A change that may make a request invalid; printed with the seed. */
export interface Mutation { readonly kind: string, readonly drawn: any }

interface Kind<Drawn> {
  /** How often to draw it: mutations that most parsers refuse at once are rarer. */
  readonly weight: number
  readonly draw: fc.Arbitrary<Drawn>
  apply (request: WireRequest, drawn: Drawn): WireRequest
}

const kindOf = <Drawn> (weight: number, draw: fc.Arbitrary<Drawn>, apply: Kind<Drawn>['apply']): Kind<any> => ({ weight, draw, apply })

const at = fc.nat(9999)
const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')
const utf8 = (text: string) => Buffer.from(text).toString('latin1')

/** Lone surrogates as WTF-8, overlong forms, bytes that are never UTF-8, a byte order mark, control characters. */
const oddBytes = ['\xED\xA0\x80', '\xED\xB0\x80', '\xC0\xAF', '\xE0\x80\xAF', '\xF8\x88\x80\x80\x80', '\xFF', '\xFE\xFF', '\xEF\xBB\xBF', '\0', '\x01', '\x1B', '\x7F', '\x85', '\xE2\x80\xAE', utf8('\u{1F600}')]
const text = fc.oneof(fc.constantFrom(...oddBytes), fc.uint8Array({ maxLength: 12 }).map(latin1), fc.string().map(utf8))

/** Any text without a line end. */
const fieldText = text.map(value => value.replace(/[\r\n]/g, ' '))

const escapes = ['%', '%%', '%2', '%zz', '%00', '%0a', '%0d%0a', '%7f', '%80', '%ff', '%c3%28', '%c0%af', '%ed%a0%80', '%f0%9f%98%80', '%2f', '%5c', '%2e', '%2e%2e%2f', '%u0041', '+', ';', '#', '?', '&', '/', '//', '/../', '\\', ' ', '\t', '\0', '\x01', '\x7F', '\x80', '\xFF', '<', '"', '{', '|', '^', '`']
const targets = ['', '*', '/', '//', '/..', '/../../etc/passwd', '/?', '/%', '/.', 'x', 'http://other.example/', 'http://other.example/api/resource', 'other.example:443', '/api', '/api/', '/api/users/0', '/api/users/-1', '/api/users/1.5', '/api/users/1e3', '/api/users/99999999999999999999', '/api/users/__proto__', '/uploads', '/uploads/', '/uploads/..%2f..%2fetc%2fpasswd', `/uploads/${'a'.repeat(1500)}`, `/uploads/${'%41'.repeat(300)}`, `/${'a/'.repeat(2000)}`, `/api/files?${'a=b&'.repeat(1000)}`, `/api/files?prefix=${'x'.repeat(3000)}`, `/${'x'.repeat(20_000)}`, '/docs/json', '/docs/static/..%2f..%2fpackage.json', '/openapi.json/x', '/__proto__', '/constructor']
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT', 'PROPFIND', 'MKCOL', 'COPY', 'MOVE', 'LOCK', 'SEARCH', 'PURGE', 'QUERY', 'LINK', 'M-SEARCH', 'get', 'BREW', '', 'G\0T', 'GET GET', 'PRI', 'X'.repeat(200)]
const versions = ['HTTP/1.0', 'HTTP/0.9', 'HTTP/1.2', 'HTTP/2.0', 'HTTP/3', 'http/1.1', 'HTTP/1.1 ', 'HTTP/11', '', 'RTSP/1.0', '\0']
const parameterNames = ['limit', 'cursor', 'order', 'prefix', 'disposition', 'version', 'permanent', 'access_token', 'x', '', '__proto__', 'constructor', 'limit[]', 'order[name]', 'limit.x']
const parameterValues = ['', '0', '1', '00', '1e2', '-1', '1001', '99999999999999999999', 'NaN', 'null', 'true', '[]', '{}', 'name', 'inline', '%', '%00', '%ed%a0%80', '%ff', '🙂', 'x'.repeat(300)].map(utf8)

/** Fields that the server or its libraries read, and almost valid values. */
const fields: Record<string, string[]> = {
  range: ['bytes=0-', 'bytes=-0', 'bytes=-1', 'bytes=0-0,2-3', 'bytes=5-2', 'bytes=99999999999999999999-', 'bytes=-99999999999999999999', 'bytes=a-b', 'bytes', 'bytes=', 'items=0-1', `bytes=${'0-0,'.repeat(100)}`],
  'if-range': ['*', '"x"', 'W/"x"', 'Thu, 01 Jan 1970 00:00:00 GMT', 'x'],
  'if-match': ['*', '"x"', 'W/"x"', '"', '"a", "b"', ','.repeat(2000), '" "'],
  'if-none-match': ['*', '"x"', 'W/*', '"'.repeat(3000)],
  'if-modified-since': ['Thu, 01 Jan 1970 00:00:00 GMT', 'Fri, 31 Feb 2100 24:00:00 GMT', 'yesterday', '0'],
  'if-unmodified-since': ['Thu, 01 Jan 1970 00:00:00 GMT', 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994'],
  accept: ['text/html', '*/*', 'image/png', 'text/html;q=0', 'application/json;q=x', 'a/b,'.repeat(500)],
  'content-type': ['application/json', 'application/json; charset=latin1', 'application/json;', 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', 'multipart/form-data; boundary=', 'multipart/form-data; boundary=x', `multipart/form-data; boundary=${'x'.repeat(71)}`, 'multipart/form-data; boundary="', 'application/octet-stream', 'json', '/', '*/*', 'a/b; c="', 'application/json\0', `a/b;${' '.repeat(200)}c`],
  'content-encoding': ['gzip', 'identity', 'br, gzip', 'x'],
  'content-range': ['bytes 0-1/2', 'x'],
  'content-digest': ['sha-256=:AAAA:', 'sha-256=', 'sha-256', 'x', '=', 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:', 'md5=:AAAA:', 'sha-512=:AAAA:, sha-256=?1', 'sha-256=:AAAA'],
  'repr-digest': ['sha-256=:AAAA:', '(', 'sha-256=1', 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:'],
  'want-repr-digest': ['sha-256=0', 'sha-512=3', 'x=', '(', 'sha-256=99'],
  expect: ['100-continue', '200-ok', '100-continue, x', ''],
  authorization: ['', 'Basic', 'Basic ', 'Basic !!!', 'Basic YQ==', 'Basic Og==', 'Basic OjE=', 'Basic AAAA', 'Basic 7aCAOng=', 'Bearer', 'Bearer x', 'Bearer a.b.c', 'Token x', 'Token  x', 'Digest username="x"', 'Bearer mst_0123456789ABCDEFGHIJKLMNOPQRST2Jmbyv', 'Bearer eyJhbGciOiJub25lIn0.e30.', 'Bearer eyJraWQiOiJfX3Byb3RvX18ifQ.e30.x', 'bearer x', `Basic ${'YTph'.repeat(1000)}`],
  host: ['', 'other.example', '127.0.0.1', '[::1', 'a b', 'a,b', 'x@y', 'a/b', '127.0.0.1:99999', '\xFF'],
  origin: ['null', 'https://other.example', 'x'],
  'sec-fetch-dest': ['empty', 'document'],
  'access-control-request-method': ['PUT', 'x'],
  'x-forwarded-for': ['10.0.0.1', 'x', '127.0.0.1, ::1'],
  'x-forwarded-proto': ['https', 'x'],
  'x-forwarded-host': ['other.example'],
  'x-http-method-override': ['DELETE'],
  forwarded: ['for=10.0.0.1;proto=https'],
  connection: ['keep-alive', 'close', 'upgrade', 'x', 'keep-alive, close', 'content-length'],
  upgrade: ['websocket', 'h2c', 'x'],
  te: ['trailers', 'gzip'],
  trailer: ['content-length', 'x'],
  'accept-encoding': ['gzip', 'identity;q=0', '*;q=0'],
  'transfer-encoding': ['chunked', 'gzip', 'gzip, chunked', 'chunked, chunked', 'identity', 'x'],
  'content-length': ['0', '5', '-1', '+5', '5, 5', '5, 6', '0x5', '1e3', 'x', '', '99999999999999999999', '9007199254740993', ' 5'],
  cookie: ['a=b', '=']
}
const fieldNames = Object.keys(fields)
const field = fc.constantFrom(...fieldNames).chain(name => fc.tuple(
  fc.constant(name),
  fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...fields[name] as string[]) }, { weight: 1, arbitrary: fieldText })
))

const lines = [': x', 'no colon', ' folded', '\tfolded', 'a b: c', 'x : y', '__proto__: x', 'constructor: x', 'x: \0', 'x: \x01\x7F', 'x:', '\xFF: x', `${'x'.repeat(20_000)}: y`, `x: ${'y'.repeat(20_000)}`, 'x: y\rz: w', 'x: y\nz: w', '\0', 'Content-Length: 3\nX: y']

/** JSON of the wrong type, in the wrong place, or of an extreme size. */
const oddJson = ['null', 'true', '0', '-0', '1e400', '-1e400', '123456789012345678901234567890', '0.1', '""', '"\\u0000"', '"\\ud800"', '"\\udc00\\ud800"', '"\\uffff"', '[]', '[[]]', '{}', '{"a":1}', '{"__proto__":null}', '{"constructor":{"prototype":{}}}', '"2026-02-30T00:00:00Z"', '"9999-12-31T23:59:60Z"', '"+275760-09-13T00:00:00.001Z"', '["files:read","files:read"]', '["x"]', `"${'x'.repeat(2000)}"`, '"mst_x"', '"a:b"', '" a"', utf8('"\u202Ea"'), utf8('"\uFB03"'), utf8('"e\u0301"')]
const documents = ['', ' ', 'null', '[]', '""', '1', '{', '{}', '{"a":1,}', "{'a':1}", '{"a":NaN}', '[1', 'undefined', '{"__proto__":{"a":1}}', '{"username":"a","username":"b","password":"c"}', '['.repeat(30_000), `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`, `{"name":"${'x'.repeat(70_000)}"}`, '\xEF\xBB\xBF{}', '{"name":"\xED\xA0\x80"}', '{"name":"\xFF"}', '{"name":"\0"}', '{"name":"a"}{"name":"b"}', '{"name":"a"}\0']

const parts = [
  'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nbytes', 'Content-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n', 'Content-Disposition: form-data; name="file"\r\n\r\nbytes', 'Content-Disposition: form-data; name="other"; filename="a"\r\n\r\nbytes', 'Content-Disposition: form-data; name="field"\r\n\r\nvalue', 'Content-Disposition: form-data\r\n\r\nx',
  'Content-Disposition: form-data; name="file"; filename="\xED\xA0\x80"\r\n\r\nx', 'Content-Disposition: form-data; name="file"; filename="a\0b"\r\n\r\nx', 'Content-Disposition: form-data; name="file"; filename=".."\r\n\r\nx', 'Content-Disposition: form-data; name="file"; filename=""\r\n\r\n', `Content-Disposition: form-data; name="file"; filename="${'x'.repeat(300)}"\r\n\r\nx`, `X: ${'y'.repeat(20_000)}\r\n\r\nx`,
  'Content-Disposition: form-data; name="file"; filename*=UTF-8\'\'%ff\r\n\r\nx', 'Content-Disposition: form-data; name="file"; filename="a"; filename="b"\r\n\r\nx', 'Content-Disposition: form-data; name="file"; filename="a\r\n\r\nx', 'Content-Disposition: attachment; filename="a"\r\n\r\nx', '\r\nx', 'x', 'Content-Disposition: form-data; name="file"; filename="a"\n\nx', 'Content-Disposition: form-data; name="file"; filename="a"\r\nContent-Type: \xFF\r\n\r\nx', 'Content-Disposition: form-data; name="file"; filename="a"\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==',
  'Content-Disposition: form-data; name="file"; filename="nested"\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\nx\r\n--y--', ''
]
const endings = ['--x--\r\n', '--x--', '--x-', '--x', '', '--y--\r\n', '--x--\r\nbehind', '--x\r\n']

interface Framed { fields: [string, string][], body: Buffer, isCut?: boolean, hasRest?: boolean }

/** Whether the declared length is right (`length`), larger than what is sent (`isCut`), or smaller (`hasRest`). */
const framings: Record<string, (body: Buffer) => Framed> = {
  length: body => ({ fields: [['Content-Length', String(body.length)]], body }),
  none: body => ({ fields: [], body, hasRest: body.length > 0 }),
  'a length too short': body => ({ fields: [['Content-Length', String(Math.max(0, body.length - 3))]], body, hasRest: true }),
  'a length too long': body => ({ fields: [['Content-Length', String(body.length + 3)]], body, isCut: true }),
  'a vast length': body => ({ fields: [['Content-Length', '999999999999']], body, isCut: true }),
  'a length beyond all numbers': body => ({ fields: [['Content-Length', '99999999999999999999999']], body, isCut: true }),
  'no length at all': body => ({ fields: [['Content-Length', 'x']], body }),
  'a negative length': body => ({ fields: [['Content-Length', '-5']], body }),
  'the length twice': body => ({ fields: [['Content-Length', String(body.length)], ['Content-Length', String(body.length)]], body, isCut: true }),
  'two lengths': body => ({ fields: [['Content-Length', String(body.length)], ['Content-Length', '1']], body, isCut: true }),
  chunks: body => ({ fields: [['Transfer-Encoding', 'chunked']], body: chunked(body, '') }),
  'chunks with extensions and a trailer': body => ({ fields: [['Transfer-Encoding', 'chunked']], body: chunked(body, ';a="b"', 'X: y\r\n') }),
  'chunks and a length': body => ({ fields: [['Transfer-Encoding', 'chunked'], ['Content-Length', String(body.length)]], body: chunked(body, ''), isCut: true }),
  'chunks that end early': body => ({ fields: [['Transfer-Encoding', 'chunked']], body: chunked(body, '').subarray(0, -4), isCut: true }),
  'a chunk of no size': body => ({ fields: [['Transfer-Encoding', 'chunked']], body: Buffer.concat([Buffer.from('zz\r\n'), body]), isCut: true }),
  'a chunk of all sizes': body => ({ fields: [['Transfer-Encoding', 'chunked']], body: Buffer.concat([Buffer.from('fffffffffffffffff\r\n'), body]), isCut: true }),
  'an unknown coding': body => ({ fields: [['Transfer-Encoding', 'gzip, chunked']], body: chunked(body, ''), isCut: true }),
  'a coding that is not the last': body => ({ fields: [['Transfer-Encoding', 'chunked, gzip']], body: chunked(body, ''), isCut: true })
}

function chunked (body: Buffer, extension: string, trailer = ''): Buffer {
  const first = body.length === 0 ? [] : [Buffer.from(`${body.length.toString(16)}${extension}\r\n`), body, Buffer.from('\r\n')]
  return Buffer.concat([...first, Buffer.from(`0\r\n${trailer}\r\n`)])
}

const kinds: Record<string, Kind<any>> = {
  method: kindOf(1, fc.constantFrom(...methods), (request, method) => ({ ...request, method })),
  target: kindOf(2, fc.constantFrom(...targets), (request, target) => ({ ...request, target })),
  escape: kindOf(4, fc.tuple(at, fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...escapes) }, text.map(value => value.replace(/[\r\n]/g, '')))), (request, [place, inserted]) => ({ ...request, target: spliced(request.target, 1 + place % request.target.length, 0, inserted) })),
  query: kindOf(4, fc.array(fc.tuple(fc.constantFrom(...parameterNames), fc.oneof(fc.constantFrom(...parameterValues), fc.webQueryParameters())), { minLength: 1, maxLength: 4 }), (request, pairs) => ({ ...request, target: `${request.target}${request.target.includes('?') ? '&' : '?'}${pairs.map(pair => pair.join('=')).join('&')}` })),
  version: kindOf(1, fc.constantFrom(...versions), (request, version) => ({ ...request, version })),
  field: kindOf(8, field, (request, [name, value]) =>
    ({ ...request, headers: [...request.headers.filter(([other]) => other.toLowerCase() !== name), [name, value]] })),
  'field more': kindOf(3, field, (request, added) => ({ ...request, headers: [...request.headers, added] })),
  'field twice': kindOf(1, at, (request, place) => ({ ...request, headers: [...request.headers, ...request.headers.slice(place % request.headers.length).slice(0, 1)] })),
  'field less': kindOf(1, at, (request, place) => ({ ...request, headers: request.headers.toSpliced(place % request.headers.length, 1) })),
  'field changed': kindOf(2, fc.tuple(at, at, fieldText), (request, [place, offset, inserted]) => ({ ...request, headers: request.headers.map(([name, value], index) => [name, index === place % request.headers.length ? spliced(value, offset % (value.length + 1), offset % 3, inserted) : value]) })),
  'many fields': kindOf(1, fc.integer({ min: 10, max: 3000 }), (request, count) => ({ ...request, lines: Array(count).fill('X: y') })),
  line: kindOf(1, fc.constantFrom(...lines), (request, line) => ({ ...request, lines: [...request.lines, line] })),
  'JSON value': kindOf(5, fc.tuple(at, fc.oneof(fc.constantFrom(...oddJson), fc.json().map(utf8))), (request, [place, value]) => withProperties(request, entries => entries.map((entry, index) => index === place % entries.length ? [entry[0], value] : entry))),
  'JSON property less': kindOf(2, at, (request, place) => withProperties(request, entries => entries.toSpliced(place % Math.max(1, entries.length), 1))),
  'JSON property more': kindOf(3, fc.tuple(fc.oneof(fc.constantFrom('__proto__', 'constructor', 'x', '', 'id', 'name', 'scopes', 'quotaBytes'), fc.string()), fc.constantFrom(...oddJson)), (request, [name, value]) => withProperties(request, entries => [...entries, [name, value]])),
  JSON: kindOf(3, fc.constantFrom(...documents), (request, body) => withBody(request, Buffer.from(body, 'latin1'))),
  bytes: kindOf(4, fc.tuple(at, fc.nat(20), text), (request, [place, removed, inserted]) => withBody(request, Buffer.from(spliced(latin1(request.body), place % (request.body.length + 1), removed, inserted), 'latin1'))),
  size: kindOf(2, fc.constantFrom(0, 1, 70_000, 250_000), (request, size) => withBody(request, Buffer.concat([request.body, Buffer.alloc(size, 'x')]).subarray(0, size))),
  'size more': kindOf(1, fc.constantFrom(70_000, 250_000), (request, size) => withBody(request, Buffer.concat([request.body, Buffer.alloc(size, 'x')]))),
  form: kindOf(5, fc.record({ chosen: fc.array(fc.constantFrom(...parts), { maxLength: 4 }), ending: fc.constantFrom(...endings), preamble: fc.constantFrom('', '\r\n', 'before\r\n'), isTyped: fc.boolean() }), (request, { chosen, ending, preamble, isTyped }) => ({
    ...withBody(request, Buffer.from(`${preamble}${chosen.map(part => `--x\r\n${part}\r\n`).join('')}${ending}`, 'latin1')),
    headers: isTyped ? [...request.headers.filter(([name]) => name !== 'content-type'), ['content-type', 'multipart/form-data; boundary=x']] : request.headers
  })),
  framing: kindOf(3, fc.constantFrom(...Object.keys(framings)), (request, framing) => ({ ...request, framing }))
}

function spliced (value: string, start: number, removed: number, inserted: string): string {
  return value.slice(0, start) + inserted + value.slice(start + removed)
}

/** Changes the properties of a JSON body, each given as name and JSON; other bodies are treated as an empty object. */
function withProperties (
  request: WireRequest, change: (entries: [name: string, json: string][]) => [name: string, json: string][]
): WireRequest {
  let entries: [name: string, json: string][] = []
  try {
    entries = Object.entries(Object(JSON.parse(request.body.toString())))
      .map(([name, value]) => [name, utf8(JSON.stringify(value))])
  } catch {
    // No longer JSON, or too deep to serialise.
  }
  return withBody(request, Buffer.from(`{${change(entries).map(([name, json]) => `${utf8(JSON.stringify(name))}:${json}`).join(',')}}`, 'latin1'))
}

/** Adds framing unless there is some; without it, the body would be parsed as the next request. */
function withBody (request: WireRequest, body: Buffer): WireRequest {
  return { ...request, body, framing: request.framing === 'none' ? 'length' : request.framing }
}

export const mutations: fc.Arbitrary<Mutation[]> = fc.array(fc.oneof(...Object.entries(kinds).map((
  [kind, { weight, draw }]
) => ({ weight, arbitrary: fc.record({ kind: fc.constant(kind), drawn: draw }) }))), { minLength: 1, maxLength: 3 })

export function mutate (request: WireRequest, chosen: Mutation[]): WireRequest {
  return chosen.reduce((mutated, { kind, drawn }) => (kinds[kind] as Kind<any>).apply(mutated, drawn), request)
}

/** The bytes of a request, whether they are less than declared, and whether more bytes follow. */
export function bytesOf ({ method, target, version, headers, lines, body, framing }: WireRequest): {
  bytes: Buffer, isCut: boolean, hasRest: boolean
} {
  const framed = (framings[framing] as typeof framings[string])(body)
  const head = [`${method} ${target} ${version}`, ...[...headers, ...framed.fields].map(field => field.join(': ')), ...lines, '', ''].join('\r\n')
  // A custom field may declare a body, whatever the framing.
  const isPromised = [...headers, ...lines.map(line => line.split(':'))].some(([name = '']) => /content-length|transfer-encoding/i.test(name))
  return { bytes: Buffer.concat([Buffer.from(head, 'latin1'), framed.body]), isCut: framed.isCut === true || isPromised || /\n[^]*content-length/i.test(lines.join('')), hasRest: framed.hasRest === true }
}
