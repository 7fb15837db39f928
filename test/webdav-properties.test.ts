import { once } from 'node:events'
import { type ClientRequest, request as httpRequest } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { parseXml, type XmlElement } from '#src/webdav/xml.ts'
import { shareAccount } from './kit/kept-account.ts'
import { signUp, startServer, type Answer, type SendOptions, type Settings } from './kit/server.ts'
import { KIB } from './kit/sizes.ts'
import { copiedColumns, runSql, skipWithoutSqlite } from './kit/stores.ts'

const D = 'xmlns:D="DAV:"'
const MICROSOFT = 'urn:schemas-microsoft-com:'
const XML = { 'content-type': 'application/xml; charset=utf-8' }

/** Properties of one status, by `{namespace}name`; the values are text, or the names of children. */
type Found = Record<string, string>

/** What a 207 says: properties by URL and status. */
function statusesOf ({ bytes, headers }: Answer): Record<string, Record<number, Found>> {
  if (!String(headers['content-type']).startsWith(XML['content-type'])) throw new Error('this is no XML in UTF-8')
  // One after the other, because a request has fewer elements.
  const [begin, ...responses] = bytes.toString().split(/(?=<D:response>)/)
  return Object.fromEntries(responses.map(text => {
    const [href, ...propstats] = parseXml(Buffer.from(`${begin}${text.replace('</D:multistatus>', '')}</D:multistatus>`)).children[0]?.children ?? []
    return [href?.text, Object.fromEntries(propstats.map(({ children: [prop, status] }) =>
      [Number(status?.text.split(' ')[1]), Object.fromEntries(prop?.children.map(property => [nameOf(property), valueOf(property)]) ?? [])]))]
  }))
}

const nameOf = ({ namespace, name }: XmlElement) => namespace === 'DAV:' ? name : `{${namespace}}${name}`
const valueOf = ({ text, children }: XmlElement): string => text + children.map(child => `<${child.name}>${valueOf(child)}`).join('')

const dead = (name: string) => `{x:}${name}`

async function openDrive (t: Test, settings: Settings = {}) {
  const account = await shareAccount(settings)
  const { send } = account
  const propfind = (path: string, content?: string, headers: Record<string, string> = {}) =>
    send('PROPFIND', path, {
      headers: { depth: '0', ...headers },
      ...content !== undefined && { body: `<?xml version="1.0"?>${root('propfind', content)}` }
    })
  const proppatch = (path: string, content: string, headers: Record<string, string> = {}) => send('PROPPATCH', path, {
    headers: { ...XML, ...headers },
    body: root('propertyupdate', content)
  })
  /** The properties of one file or folder, by their status. */
  const find = async (path: string, content?: string) => {
    const answer = await propfind(path, content)
    t.equal(answer.status, 207, answer.text)
    return Object.values(statusesOf(answer))[0] ?? {}
  }
  /** The statuses of changed properties. */
  const change = async (path: string, content: string) => {
    const answer = await proppatch(path, content)
    t.equal(answer.status, 207, answer.text)
    const found = Object.entries(statusesOf(answer)[path] ?? {})
    return Object.fromEntries(found.map(([status, properties]) => [status, Object.keys(properties)]))
  }
  return { ...account, propfind, proppatch, find, change }
}

/** Asks for so many properties that are missing that 200 answers are larger than the buffers of sockets. */
const MANY_MISSING = `<D:propfind ${D}><D:prop>${Array.from({ length: 480 }, (_, index) => `<${'n'.repeat(120)}${index}/>`).join('')}</D:prop></D:propfind>`

const root = (name: string, content: string) => `<D:${name} ${D} xmlns:x="x:" xmlns:m="${MICROSOFT}">${content}</D:${name}>`
const set = (content: string) => `<D:set><D:prop>${content}</D:prop></D:set>`
const remove = (content: string) => `<D:remove><D:prop>${content}</D:prop></D:remove>`
const prop = (content: string) => `<D:prop>${content}</D:prop>`

const LOCKS = '<lockentry><lockscope><exclusive><locktype><write><lockentry><lockscope><shared><locktype><write>'

t.test('a file has its live properties', async t => {
  const { put, metadata, find } = await openDrive(t)
  await put('a b.txt', '12345', { 'content-type': 'text/plain; a="<&>"' })
  const { createdAt, updatedAt, sha256 } = (await metadata('a b.txt')).json
  const all = {
    creationdate: createdAt,
    displayname: 'a b.txt',
    getcontentlength: '5',
    getcontenttype: 'text/plain; a="<&>"',
    getetag: `"${sha256}"`,
    getlastmodified: new Date(updatedAt).toUTCString(),
    resourcetype: '',
    supportedlock: LOCKS,
    lockdiscovery: ''
  }
  t.strictSame(await find('/dav/a%20b.txt'), { 200: all }, 'without a body')
  t.strictSame(await find('/dav/a%20b.txt', '<D:allprop/>'), { 200: all })
  const names = Object.fromEntries([...Object.keys(all), 'quota-used-bytes'].map(name => [name, '']))
  t.strictSame(await find('/dav/a%20b.txt', '<D:propname/>'), { 200: names })
  t.strictSame(await find('/dav/a%20b.txt', '<D:allprop/><D:include><D:quota-used-bytes/><D:getetag/><D:quota-available-bytes/><x:none/></D:include>'), {
    200: { ...all, 'quota-used-bytes': '5' }, 404: { 'quota-available-bytes': '', [dead('none')]: '' }
  })
})

t.test('a folder has its live properties, and so has the root', async t => {
  const { make, send, find } = await openDrive(t)
  await make('a/b')
  const { createdAt } = (await send('GET', '/api/folders/a%2Fb')).json
  const live = {
    creationdate: createdAt,
    displayname: 'b',
    getlastmodified: new Date(createdAt).toUTCString(),
    resourcetype: '<collection>',
    supportedlock: LOCKS,
    lockdiscovery: ''
  }
  t.strictSame(await find('/dav/a/b/'), { 200: live })
  const account = (await send('GET', '/api/account')).json
  const root = {
    ...live, creationdate: account.createdAt, displayname: '', getlastmodified: new Date(account.createdAt).toUTCString(), supportedlock: ''
  }
  t.strictSame(await find('/dav/'), { 200: root })
  t.strictSame(await find('/dav'), { 200: root })
})

t.test('the named properties are found or missing', async t => {
  const { put, find } = await openDrive(t)
  await put('a', '1')
  const missing = '<D:acl/><D:owner/><x:y/><z xmlns=""/><D:lastmodified/><m:Win32LastModifiedTime/><m:Win32FileAttributes/><D:quota-available-bytes/>'
  t.strictSame(await find('/dav/a', prop(`<D:getcontentlength/>${missing}<D:getcontentlength/>`)), {
    200: { getcontentlength: '1' },
    404: {
      acl: '', owner: '', '{x:}y': '', '{}z': '', lastmodified: '', [`{${MICROSOFT}}Win32LastModifiedTime`]: '', [`{${MICROSOFT}}Win32FileAttributes`]: '', 'quota-available-bytes': ''
    }
  })
  t.strictSame(await find('/dav/a', prop('<D:acl/>')), { 404: { acl: '' } })
  t.strictSame(await find('/dav/a', prop('')), { 200: {} })
  t.strictSame(await find('/dav', prop('<D:getetag/><D:getcontentlength/><D:resourcetype/>')), { 200: { resourcetype: '<collection>' }, 404: { getetag: '', getcontentlength: '' } })
})

t.test('a listing has the folder and what is directly in it, each with its URL as asked', async t => {
  const { put, make, propfind } = await openDrive(t)
  const names = ['ü', 'a&b<c>"d\'', '50%', '#?', 'x;y=z', 'nonchar\uFFFE', '(1)!~*']
  await make('Ordner é/b')
  for (const name of names) await put(`Ordner é/${name}`, '')
  await put('Ordner é/b/deeper', '')
  await put('other', '')
  const under = (start: string) => [start, ...names.map(name => start + encodeURIComponent(name)), `${start}b/`].sort()
  for (const [path, start] of [
    ['/dav/Ordner%20%C3%A9/', '/dav/Ordner%20%C3%A9/'],
    ['/dav/Ordner%20%c3%a9', '/dav/Ordner%20%C3%A9/'],
    ['/dav/Ordner%20e%CC%81/', '/dav/Ordner%20e%CC%81/']
  ] as const) {
    const answer = await propfind(path, prop('<D:displayname/>'), { depth: '1' })
    t.strictSame(Object.keys(statusesOf(answer)).sort(), under(start), path)
    t.match(statusesOf(answer)[`${start}nonchar%EF%BF%BE`], { 200: { displayname: 'nonchar\uFFFD' } })
    t.match(statusesOf(answer)[`${start}a%26b%3Cc%3E%22d'`], { 200: { displayname: 'a&b<c>"d\'' } })
  }
  for (const root of ['/dav', '/dav/']) {
    t.strictSame(Object.keys(statusesOf(await propfind(root, undefined, { depth: '1' }))).sort(), ['/dav/', '/dav/Ordner%20%C3%A9/', '/dav/other'])
  }
  for (const depth of ['0', '1']) t.strictSame(Object.keys(statusesOf(await propfind('/dav/other', undefined, { depth }))), ['/dav/other'])
  t.strictSame(Object.keys(statusesOf(await propfind('/dav/', undefined, { depth: '0' }))), ['/dav/'])
})

t.test('a listing has every file and folder of several pages once', async t => {
  const { put, make, propfind } = await openDrive(t)
  const numbers = Array.from({ length: 201 }, (_, index) => String(index))
  await make('a')
  for (const number of numbers) await put(`a/f${number}`, number)
  for (const number of numbers) await make(`a/d${number}`)
  const found = statusesOf(await propfind('/dav/a/', prop('<D:getcontentlength/>'), { depth: '1' }))
  t.strictSame(Object.keys(found).sort(), ['/dav/a/', ...numbers.flatMap(number => [`/dav/a/f${number}`, `/dav/a/d${number}/`])].sort())
  for (const number of numbers) t.strictSame(found[`/dav/a/f${number}`], { 200: { getcontentlength: String(number.length) } })
})

t.test('the depth must be 0 or 1', async t => {
  const { put, propfind, send } = await openDrive(t)
  await put('a', '1')
  for (const headers of [{}, { depth: 'infinity' }]) {
    const answer = await send('PROPFIND', '/dav/', { headers })
    t.match(answer, { status: 403, headers: XML })
    t.strictSame(parseXml(answer.bytes).children.map(nameOf), ['propfind-finite-depth'])
  }
  for (const depth of ['2', '', '-1', '1,0']) {
    t.match(await propfind('/dav/', undefined, { depth }), { status: 400, json: { code: 'malformed_request' } }, depth)
  }
})

t.test('the quota is told only if asked for, with unfinished uploads', async t => {
  const { put, find, send } = await openDrive(t, { QUOTA_BYTES: '1000' })
  await put('a', '12345')
  const created = await send('POST', '/api/uploads', { headers: { 'tus-resumable': '1.0.0', 'upload-length': '100', 'upload-metadata': 'filename Yg==' } })
  t.equal(created.status, 201)
  const asked = prop('<D:quota-used-bytes/><D:quota-available-bytes/>')
  for (const path of ['/dav/', '/dav/a']) t.strictSame(await find(path, asked), { 200: { 'quota-used-bytes': '105', 'quota-available-bytes': '895' } })
  t.match((await find('/dav/', '<D:propname/>'))[200], { 'quota-used-bytes': '', 'quota-available-bytes': '' })
  const free = await openDrive(t)
  t.strictSame(await free.find('/dav/', asked), { 200: { 'quota-used-bytes': '0' }, 404: { 'quota-available-bytes': '' } })
})

t.test('what can\'t be there is not found', async t => {
  const { put, propfind, proppatch } = await openDrive(t)
  await put('a/b', '1')
  for (const path of ['/dav/none', '/dav/a/b/', '/dav/a/b/c', '/dav/a//b', '/dav/a/../a', '/dav/%00', '/dav/a%5Cb']) {
    t.match(await propfind(path), { status: 404, json: { code: 'not_found' } }, path)
    t.match(await proppatch(path, set('<x:y/>')), { status: 404, json: { code: 'not_found' } }, path)
  }
  t.match(await proppatch('/dav/none', set('<x:y/>'), { 'if-match': '"no"' }), { status: 404 })
})

t.test('a body is XML of at most 64 KiB, of any type that says so or of none; of PROPFIND, of any', async t => {
  const { put, send } = await openDrive(t)
  await put('a', '1')
  const ask = (body: string | Buffer, headers: Record<string, string> = {}) => send('PROPFIND', '/dav/a', { body, headers: { depth: '0', ...headers } })
  const body = `<propfind xmlns="DAV:"><prop><getetag/></prop><!--${'-a'.repeat(32 * KIB)}`.slice(0, 64 * KIB - 14) + '--></propfind>'
  t.equal(body.length, 64 * KIB)
  for (const type of ['application/xml', 'text/xml', 'TEXT/XML ; charset="utf-8"', undefined]) {
    t.match(await ask(body, type === undefined ? {} : { 'content-type': type }), { status: 207 }, String(type))
  }
  for (const type of ['application/json', 'application/x-www-form-urlencoded', 'application/xml-dtd', 'text/plain', 'xml', '']) {
    for (const method of ['PROPPATCH', 'LOCK']) {
      t.match(await send(method, '/dav/a', { body: '<a/>', headers: { 'content-type': type } }), { status: 415, json: { code: 'unsupported_media_type' } }, `${method} ${type}`)
    }
    for (const text of [body, '']) t.match(await ask(text, { 'content-type': type, depth: '1, noroot' }), { status: 207 }, type)
  }
  t.match(await ask(`${body} `), { status: 413, json: { code: 'body_too_large' } })
  t.match(await ask(' '.repeat(1024 * KIB)), { status: 413, json: { code: 'body_too_large' } })
  t.match(await ask(body, { 'content-encoding': 'gzip' }), { status: 415, json: { code: 'content_encoding_unsupported' } })
  t.match(await ask('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), { status: 400, json: { code: 'malformed_xml' } })
  t.match(await ask(Buffer.from('\uFEFF<propfind xmlns="DAV:"><allprop/></propfind>', 'utf16le')), { status: 207 })
  for (const wrong of ['<propfind/>', '<propfind xmlns="DAV:"/>', '<prop xmlns="DAV:"/>']) {
    t.match(await ask(wrong), { status: 400, json: { code: 'malformed_request' } }, wrong)
  }
  t.match(await send('PROPPATCH', '/dav/a'), { status: 400, json: { code: 'malformed_request' } })
})

t.test('a dead property is kept as it was sent', async t => {
  const { put, make, propfind, find, change } = await openDrive(t)
  await put('a', '1')
  await make('b')
  for (const path of ['/dav/a', '/dav/b/']) {
    const value = '\n<x:v1 x:b="&quot;&#10;">1<![CDATA[<&]]>\u{1F600}</x:v1><!-- c --><v2 xmlns="">x:y</v2>'
    t.strictSame(await change(path, `<D:set xml:lang="de"><D:prop><x:a>${value}</x:a></D:prop></D:set>`), { 200: [dead('a')] })
    t.strictSame(await change(path, set('<n xmlns="">0</n><D:author/><m:Win32FileAttributes>00000020</m:Win32FileAttributes>')), { 200: ['{}n', 'author', `{${MICROSOFT}}Win32FileAttributes`] })
    const answer = await propfind(path, prop('<x:a/><n xmlns=""/><D:author/><x:none/>'))
    t.match(answer.text, `<x:a xmlns:D="DAV:" xmlns:x="x:" xmlns:m="${MICROSOFT}" xml:lang="de">${value}</x:a>`)
    t.match(await find(path, prop('<x:a/><n xmlns=""/><D:author/><x:none/>')), { 200: { '{}n': '0', author: '' }, 404: { [dead('none')]: '' } })
    const names = [dead('a'), '{}n', 'author', `{${MICROSOFT}}Win32FileAttributes`]
    t.match((await find(path))[200], Object.fromEntries(names.map(name => [name, String])), 'all properties have them')
    t.match((await find(path, '<D:propname/>'))[200], Object.fromEntries(names.map(name => [name, ''])))
    t.match(await find(path, '<D:allprop/><D:include><x:a/><x:none/></D:include>'), { 404: { [dead('none')]: '' } })
    t.strictSame(await change(path, remove('<x:a/><x:none/>')), { 200: [dead('a'), dead('none')] })
    t.strictSame(await find(path, prop('<x:a/>')), { 404: { [dead('a')]: '' } })
  }
})

t.test('changes of properties are made in their order, all or none', async t => {
  const { put, find, change } = await openDrive(t)
  await put('a', '1')
  t.strictSame(await change('/dav/a', set('<x:a>1</x:a>') + remove('<x:a/>') + set('<x:b>1</x:b><x:b>2</x:b>') + remove('<x:c/>') + set('<x:c>3</x:c>')), { 200: [dead('a'), dead('b'), dead('c')] })
  t.strictSame(await find('/dav/a', prop('<x:a/><x:b/><x:c/>')), { 200: { [dead('b')]: '2', [dead('c')]: '3' }, 404: { [dead('a')]: '' } })
  const changes = set('<x:b>4</x:b><D:getetag>"x"</D:getetag>') + remove('<x:c/><D:resourcetype/>')
  t.strictSame(await change('/dav/a', changes), { 424: [dead('b'), dead('c')], 403: ['getetag', 'resourcetype'] })
  t.strictSame(await find('/dav/a', prop('<x:b/><x:c/>')), { 200: { [dead('b')]: '2', [dead('c')]: '3' } })
})

t.test('live properties are protected, and the answer says so', async t => {
  const { put, make, proppatch, change } = await openDrive(t)
  await put('a', '1')
  await make('b')
  const { text } = await proppatch('/dav/a', set('<D:displayname>b</D:displayname>'))
  t.match(text, '<D:error><D:cannot-modify-protected-property/></D:error>')
  const names = ['creationdate', 'displayname', 'getcontentlength', 'getcontenttype', 'getetag', 'resourcetype', 'supportedlock', 'lockdiscovery', 'quota-used-bytes', 'quota-available-bytes']
  const elements = names.map(name => `<D:${name}/>`).join('')
  for (const path of ['/dav/a', '/dav/b/']) {
    t.strictSame(await change(path, set(elements)), { 403: names })
    t.strictSame(await change(path, remove(`${elements}<D:getlastmodified/><D:lastmodified/>`)), { 403: [...names, 'getlastmodified', 'lastmodified'] })
  }
  for (const path of ['/dav', '/dav/']) t.match(await proppatch(path, set('<x:a/>')), { status: 403, json: { code: 'place_forbidden' } })
})

t.test('the time of a file is set by one of three properties', async t => {
  const { put, make, metadata, find, change, send } = await openDrive(t)
  await put('a', '1')
  await make('b')
  const { updatedAt } = (await metadata('a')).json
  const { next } = (await send('GET', '/api/changes')).json
  const asked = prop('<D:getlastmodified/><D:lastmodified/><m:Win32LastModifiedTime/>')
  const win32 = `{${MICROSOFT}}Win32LastModifiedTime`
  const found = (date: string) =>
    ({ 200: { getlastmodified: date, lastmodified: String(Date.parse(date) / 1000), [win32]: date } })
  t.match(await find('/dav/a', asked), { 200: { getlastmodified: new Date(updatedAt).toUTCString() }, 404: { lastmodified: '', [win32]: '' } })
  for (const [element, date] of [
    ['<D:getlastmodified> Sat, 01 Jan 2000 00:00:00 GMT\n</D:getlastmodified>', 'Sat, 01 Jan 2000 00:00:00 GMT'],
    ['<D:lastmodified>978307200</D:lastmodified>', 'Mon, 01 Jan 2001 00:00:00 GMT'],
    ['<D:lastmodified>0</D:lastmodified>', 'Thu, 01 Jan 1970 00:00:00 GMT'],
    ['<D:lastmodified>-1</D:lastmodified>', 'Wed, 31 Dec 1969 23:59:59 GMT'],
    ['<m:Win32LastModifiedTime>Tue, 01 Jan 2002 00:00:00 GMT</m:Win32LastModifiedTime>', 'Tue, 01 Jan 2002 00:00:00 GMT'],
    ['<D:lastmodified>1</D:lastmodified><x:a/><D:getlastmodified>Wed, 01 Jan 2003 00:00:00 GMT</D:getlastmodified>', 'Wed, 01 Jan 2003 00:00:00 GMT']
  ] as const) {
    t.match(await change('/dav/a', set(element)), { 200: [/modified/i] }, element)
    t.strictSame(await find('/dav/a', asked), found(date))
    t.match((await metadata('a')).json, { modifiedAt: new Date(date).toISOString(), updatedAt }, 'only that time changes')
  }
  t.notMatch((await find('/dav/a'))[200], { lastmodified: String }, 'the others only if asked for')
  for (const wrong of ['<D:getlastmodified/>', '<D:getlastmodified>2003-01-01T00:00:00Z</D:getlastmodified>', '<D:lastmodified>today</D:lastmodified>', '<D:lastmodified>999999999999</D:lastmodified>', '<m:Win32LastModifiedTime>31</m:Win32LastModifiedTime>']) {
    t.match(await change('/dav/a', set(wrong)), { 409: [/modified/i] }, wrong)
  }
  t.strictSame(await change('/dav/a', remove('<m:Win32LastModifiedTime/>')), { 403: [win32] })
  const times = '<D:getlastmodified>Sat, 01 Jan 2000 00:00:00 GMT</D:getlastmodified><D:lastmodified>0</D:lastmodified>'
  t.strictSame(await change('/dav/b/', set(times)), { 403: ['getlastmodified', 'lastmodified'] }, 'a folder has no such time')
  t.strictSame(await change('/dav/b/', set('<m:Win32LastModifiedTime>x</m:Win32LastModifiedTime>')), { 200: [win32] })
  t.match(await find('/dav/b/', prop('<m:Win32LastModifiedTime/>')), { 200: { [win32]: 'x' } }, 'it only keeps what Explorer says')
  t.match((await find('/dav/b/'))[200], { [win32]: 'x' })
  t.match((await find('/dav/b/', '<D:propname/>'))[200], { [win32]: '' })
  await change('/dav/a', set('<x:b/>'))
  const file = (await metadata('a')).json
  t.match((await send('GET', `/api/changes?cursor=${next}`)).json.changes, Array(6).fill({ kind: 'stored', name: 'a', file }), 'each new time is a change of the file, and no other property is')
})

t.test('a property has at most 4 KiB, and all of a file 16 KiB', async t => {
  const { put, find, change, proppatch } = await openDrive(t)
  await put('a', '1')
  t.strictSame(await change('/dav/a', set(`<x:a>${'a'.repeat(4 * KIB)}</x:a><x:b/>`)), { 507: [dead('a')], 424: [dead('b')] })
  const large = (names: string[]) => set(names.map(name => `<x:${name}>${'a'.repeat(3.5 * KIB)}</x:${name}>`).join(''))
  t.strictSame(await change('/dav/a', large(['a', 'b', 'c', 'd', 'e']) + remove('<x:f/>')), { 424: ['a', 'b', 'c', 'd', 'f'].map(dead), 507: [dead('e')] })
  t.strictSame(await change('/dav/a', large(['a', 'b', 'c', 'd'])), { 200: ['a', 'b', 'c', 'd'].map(dead) })
  t.match(await proppatch('/dav/a', remove('<x:a/>') + large(['e', 'f'])), { status: 507, json: { code: 'properties_too_large' } })
  t.match(await find('/dav/a', prop('<x:a/><x:e/>')), { 200: { [dead('a')]: String }, 404: { [dead('e')]: '' } })
  t.strictSame(await change('/dav/a', remove('<x:a/>') + large(['e'])), { 200: [dead('a'), dead('e')] })
})

t.test('conditions are judged before the properties', async t => {
  const { put, metadata, proppatch, find } = await openDrive(t)
  await put('a', '1')
  const tag = `"${(await metadata('a')).json.sha256}"`
  for (const content of [set('<x:a/>'), set('<D:getetag/>')]) {
    for (const headers of [{ 'if-match': '"no"' }, { if: '(["no"])' }, { if: '(<urn:uuid:no>)' }]) {
      t.match(await proppatch('/dav/a', content, headers), { status: 412, json: { code: 'precondition_failed' } }, JSON.stringify(headers))
    }
  }
  t.strictSame(await find('/dav/a', prop('<x:a/>')), { 404: { [dead('a')]: '' } })
  for (const headers of [{ 'if-match': tag }, { if: `([${tag}])` }]) t.equal((await proppatch('/dav/a', set('<x:a/>'), headers)).status, 207)
})

t.test('locks are told of what they lock, and refuse changes of properties', async t => {
  const { put, make, send, find, proppatch, propfind } = await openDrive(t)
  await put('a/b', '1')
  await put('a/c', '1')
  await make('a/d')
  const lock = async (path: string, scope: string, options: SendOptions = {}) => {
    const body = `<l:lockinfo xmlns:l="DAV:" xmlns:p="p:"><l:lockscope><l:${scope}/></l:lockscope><l:locktype><l:write/></l:locktype><l:owner><p:me>I&amp;U</p:me></l:owner></l:lockinfo>`
    const answer = await send('LOCK', path, { body, ...options })
    t.match(answer, { status: 200, headers: XML }, answer.text)
    return String(answer.headers['lock-token']).slice(1, -1)
  }
  const asked = prop('<D:lockdiscovery/>')
  const said = (token: string, scope: string, depth: string, root: string) =>
    new RegExp(`<activelock><locktype><write><lockscope><${scope}><depth>${depth}<owner><me>I&U<timeout>Second-\\d+<locktoken><href>${token}<lockroot><href>${root}$`)
  const own = await lock('/dav/a/b', 'exclusive', { headers: { depth: '0' } })
  t.match(await find('/dav/a/b', asked), { 200: { lockdiscovery: said(own, 'exclusive', '0', '/dav/a/b') } })
  t.match(await find('/dav/a/b'), { 200: { lockdiscovery: said(own, 'exclusive', '0', '/dav/a/b') } })
  t.match(await find('/dav/a/c', asked), { 200: { lockdiscovery: '' } })
  t.equal((await proppatch('/dav/a/b', set('<x:a/>'))).status, 423)
  t.equal((await proppatch('/dav/a/b', set('<D:getetag/>'))).status, 423)
  t.equal((await proppatch('/dav/a/b', set('<x:a/>'), { if: `(<${own}>)` })).status, 207)
  t.equal((await send('UNLOCK', '/dav/a/b', { headers: { 'lock-token': `<${own}>` } })).status, 204)
  const deep = await lock('/dav/a/', 'shared')
  for (const path of ['/dav/a/', '/dav/a/b', '/dav/a/d/']) t.match(await find(path, asked), { 200: { lockdiscovery: said(deep, 'shared', 'infinity', '/dav/a/') } }, path)
  const found = statusesOf(await propfind('/dav/a/', asked, { depth: '1' }))
  t.equal(Object.keys(found).length, 4)
  for (const all of Object.values(found)) t.match(all, { 200: { lockdiscovery: said(deep, 'shared', 'infinity', '/dav/a/') } })
  t.strictSame(await find('/dav/', asked), { 200: { lockdiscovery: '' } })
})

t.test('a listing that fails before its first byte is answered as a failure', { skip: skipWithoutSqlite }, async t => {
  const { put, propfind, dataDir, id } = await openDrive(t)
  await put('a', '1')
  const damaging = new Database(join(dataDir, 'magicstore.db'))
  damaging.exec(`UPDATE files SET properties = '{' WHERE owner_id = ${id}`)
  damaging.close()
  for (const depth of ['0', '1']) {
    const answer = await propfind(depth === '0' ? '/dav/a' : '/dav/', undefined, { depth })
    t.match(answer, { status: 500, json: { code: 'internal_error' }, headers: { 'content-type': 'application/problem+json' } }, depth)
  }
})

/** Accounts with a folder of 200 files, whose listing nobody reads: it is larger than the buffers of the sockets. */
async function openListings (t: Test, count: number) {
  const server = await startServer(t, { TRUST_PROXY: '127.0.0.1', PASSWORD_POLICY: 'open', RATE_LIMIT_PER_MINUTE: '0', REGISTRATIONS_PER_HOUR: '0' })
  const accounts = await Promise.all(Array.from({ length: count }, () => signUp(server)))
  for (const { token } of accounts) await server.send('PUT', '/uploads/a/f', { token })
  const columns = await copiedColumns(server.dataDir)
  await runSql(server.dataDir, `WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 200)
    INSERT INTO files (name, blob_id, ${columns}) SELECT name || n, blob_id || n, ${columns} FROM n, files WHERE owner_id IN (${accounts.map(({ id }) => id)})`)
  const requests = new Set<ClientRequest>()
  const leave = () => { for (const request of requests) request.destroy() }
  t.teardown(leave)
  const begin = (account: number, address = `192.0.2.${account + 1}`) => {
    const headers = { depth: '1', authorization: `Bearer ${accounts[account]?.token}`, 'x-forwarded-for': address }
    const request = httpRequest({ host: '127.0.0.1', port: server.port, method: 'PROPFIND', path: '/dav/a/', headers, agent: false })
    requests.add(request.on('error', () => {}).end(MANY_MISSING))
    const listing = {
      isBegun: false,
      leave: () => request.destroy(),
      begun: once(request, 'response').then(([{ statusCode, headers }]) => {
        listing.isBegun = true
        return { status: statusCode, headers }
      })
    }
    listing.begun.catch(() => {})
    return listing
  }
  /** Returns after what was asked before has been looked at. */
  const probe = async () => (await server.send('GET', '/dav/a/', { token: String(accounts.at(-1)?.token) })).status
  return { server, begin, probe, leave }
}

t.test('eight listings of an account and 64 of all are written at once; others wait, of an account with fewer first, until their client leaves', async t => {
  const { begin, probe } = await openListings(t, 9)
  const running = Array.from({ length: 8 }, (_, account) => Array.from({ length: 8 }, () => begin(account)))
  for (const { begun } of running.flat()) t.match(await begun, { status: 207 })
  const [left, full, first] = [begin(0), begin(0), begin(8)]
  t.equal(await probe(), 200, 'what is no listing is answered')
  left.leave()
  running[1]?.pop()?.leave()
  t.match(await first.begun, { status: 207 })
  t.notOk(full.isBegun, 'an account that has eight waits longer')
  const [seven, one] = [begin(1), begin(8)]
  await probe()
  running[2]?.pop()?.leave()
  t.match(await one.begun, { status: 207 })
  t.notOk(seven.isBegun, 'that of the account with fewer is first')
  running[0]?.pop()?.leave()
  t.match(await full.begun, { status: 207 }, 'the one before it has left')
  const waiting = Array.from({ length: 256 }, () => begin(0))
  t.match(await Promise.race(waiting.map(({ begun }) => begun)), { status: 503, headers: { 'retry-after': '5' } })
})

t.test('one address has at most 16 listings, and those that wait are refused when the server stops', async t => {
  const { server, begin, probe, leave } = await openListings(t, 3)
  const home = '198.51.100.1'
  for (let count = 0; count < 16; count++) t.match(await begin(count % 2, home).begun, { status: 207 })
  const waiting = begin(2, home)
  await probe()
  t.match(await begin(2).begun, { status: 207 }, 'elsewhere')
  t.notOk(waiting.isBegun)
  const closed = server.close()
  t.match(await waiting.begun, { status: 503, headers: { 'retry-after': '5' } })
  leave()
  await closed
})

t.test('a listing that fails on the way is cut, and does not look whole', async t => {
  const { put, send, server, token } = await openDrive(t)
  for (let number = 0; number < 201; number++) await put(`a/f${number}`, '')
  // An answer larger than the buffers of the sockets, so that the second page is read only after the first.
  const request = httpRequest({ host: '127.0.0.1', port: server.port, method: 'PROPFIND', path: '/dav/a/', headers: { depth: '1', authorization: `Bearer ${token}` }, agent: false })
  request.end(MANY_MISSING)
  const [response] = await once(request, 'response')
  t.equal(response.statusCode, 207)
  t.equal((await send('DELETE', '/api/folders/a?recursive=true')).status, 204)
  let length = 0
  let end = ''
  await t.rejects((async () => {
    for await (const chunk of response) {
      length += chunk.length
      end = String(chunk)
    }
  })(), { code: 'ECONNRESET' })
  t.ok(length > 1024 * KIB)
  t.notMatch(end, '</D:multistatus>')
})
