import { once } from 'node:events'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { createPasswords } from '#src/accounts/password.ts'
import { callerOf, prepareCallers, visitOf } from '#src/http/caller.ts'
import { clientErrorResponse, sendProblem } from '#src/http/error-handler.ts'
import { createLinks } from '#src/http/links.ts'
import { normaliseWithin } from '#src/http/wire-values.ts'
import { Problem } from '#src/problems.ts'
import { countHashes } from './kit/hashes.ts'
import { refused } from './kit/refusals.ts'
import { startServer, type Answer, type Client } from './kit/server.ts'
import { KIB, MIB } from './kit/sizes.ts'
import { textOfDatabase } from './kit/stores.ts'
import { sendRaw } from './kit/wire.ts'

const register = (client: Client, username: unknown, password: unknown = 'pwd') => client.send('POST', '/api/users', { json: { username, password } })
const signIn = (client: Client, username: string, password = 'pwd') => client.send('GET', '/api/token', { user: [username, password] })

/** The raw bytes of a registration, for headers that no client library would send. */
const rawRegistration = (username: string, { version = '1.1', fields = [] as string[] } = {}) => {
  const body = JSON.stringify({ username, password: 'pwd' })
  return [`POST /api/users HTTP/${version}`, 'Content-Type: application/json', `Content-Length: ${body.length}`, 'Connection: close', ...fields, '', body].join('\r\n')
}

const locationOf = (answer: string) => /^location: (.*)$/im.exec(answer)?.[1]?.trim()

/** Asserts that a response is a problem and reveals nothing about the server's internals. */
function isProblem (t: Test, answer: Answer, status: number, code: string, message = code): void {
  refused(t, answer, status, code, message)
  t.notMatch(answer.text, /node_modules|\.ts\b|SQLITE|hunter2|at [A-Z]\w+ \(/, message)
}

t.test('a registration is answered with the new user and its address, and anyone can read both again', async t => {
  const server = await startServer(t)
  const before = Date.now()
  const created = await register(server, 'test_user')
  t.match(created, { status: 201, headers: { location: `${server.url}/api/users/1` }, json: { id: 1, username: 'test_user' } })
  t.strictSame(Object.keys(created.json).sort(), ['createdAt', 'id', 'username'])
  const createdAt = Date.parse(created.json.createdAt)
  t.ok(createdAt >= before && createdAt <= Date.now())
  t.strictSame((await server.send('GET', '/api/users/1')).json, created.json)
})

t.test('an id that is unknown or not an integer is 400', async t => {
  const server = await startServer(t)
  await register(server, 'first')
  for (const id of ['2', '9007199254740991']) isProblem(t, await server.send('GET', `/api/users/${id}`), 400, 'user_unknown', id)
  for (const id of ['0', '-1', '01', '+1', '1.0', '1e0', '0x1', 'abc', '%20', '1%20', '%D9%A1', 'null', '9007199254740992', '9999999999999999', '99999999999999999', '1'.repeat(500), '1%00', "1'--"]) {
    const answer = await server.send('GET', `/api/users/${id}`)
    isProblem(t, answer, 400, 'validation_failed', id)
    t.equal(answer.json.errors[0].field, 'id', id)
  }
  isProblem(t, await server.send('GET', '/api/users/%ff'), 400, 'malformed_url')
  t.equal((await server.send('GET', '/api/users/%31')).status, 200)
})

t.test('names that RFC 8265 calls the same are one name, shown as it was registered', async t => {
  const server = await startServer(t)
  const users: [registered: string, same: string[]][] = [
    ['Test_User', ['test_user', 'TEST_USER', 'ｔｅｓｔ＿ｕｓｅｒ', 'ＴＥＳＴ_user']],
    ['Zoë', ['Zoe\u0308', 'ZOË', 'zoE\u0308']],
    ['ガガ', ['ｶﾞｶﾞ', 'ガガ'.normalize('NFD')]],
    ['Ada Lovelace', ['ada lovelace', 'ada\u3000lovelace']],
    ['ΌΔΟΣ', ['όδος', 'ΌΔΟΣ'.normalize('NFD')]],
    ['𐐀𐐁', ['𐐨𐐩']],
    ['İ', ['i\u0307']]
  ]
  for (const [index, [registered, same]] of users.entries()) {
    const created = await register(server, registered)
    t.equal(created.status, 201, registered)
    t.equal(created.json.username, registered)
    t.equal((await server.send('GET', `/api/users/${index + 1}`)).json.username, registered)
    for (const other of same) isProblem(t, await register(server, other), 400, 'username_taken', other)
    t.strictSame(
      (await Promise.all(same.map(other => signIn(server, other)))).map(({ status }) => status),
      same.map(() => 200),
      registered
    )
    const greeting = await server.send('GET', '/api/resource', { user: [same[0] as string, 'pwd'] })
    t.strictSame(greeting.json, { data: `Hello, ${registered}!` })
  }
})

t.test('names that RFC 8265 tells apart are different users', async t => {
  const server = await startServer(t)
  const names = ['strasse', 'straße', 'ο', 'o', 'ı', 'i', 'resume', 'résumé', 'a b', 'ab', 'a_b', 'a-b']
  const created = await Promise.all(names.map(name => register(server, name)))
  t.strictSame(created.map(({ json }) => json.id).sort((a, b) => a - b), names.map((_, index) => index + 1))
})

t.test('a username may have any letters, digits, marks and ASCII signs, 64 code points of them', async t => {
  const server = await startServer(t)
  const taken = [
    'a', '7', 'pwd@example.org', '!"#$%&\'()*+,-./;<=>?@[\\]^_`{|}~', 'a b c', '李小龍', 'Οδυσσεύς', 'Иван', 'שלום', 'שָׁ', 'سلام7', 'abc سلام', 'नमस्ते', '한국', '〇', 'ß', 'eyes.of.steel', 'mst', 'ey.x',
    'col\u00B7lecci\u00F3', '\u0375\u03B1', '\u05D0\u05F3', '\u30AB\u30FB\u30AB', '\u0645\u0661\u0662', '\u0645\u06F1\u06F2',
    '𐴀1', '𠜎'.repeat(64), 'x'.repeat(64), 'constructor', '__proto__', 'toString'
  ]
  const created = await Promise.all(taken.map(name => register(server, name)))
  t.strictSame(created.map(({ status, json }) => [status, json.username]), taken.map(name => [201, name]))
})

t.test('a username that the IdentifierClass refuses, or that HTTP Basic could not carry, is 400 and takes no id', async t => {
  const server = await startServer(t)
  const refused: Record<string, string[]> = {
    'a compatibility equivalent': ['oﬃce', 'x²', 'xª', 'Ⅳ', '\u212A', '\u212B', 'ſ'],
    'not assigned, or private': ['\u0378', '\u{1FFF0}', '\uFDD0', 'a\uFFFF', '\u{10FFFF}', '\uE000'],
    'joiners and other characters that are ignored': ['a\u200Bb', 'a\u200Db', 'a\u200Cb', 'a\u2060b', '\uFEFFab', 'a\u00ADb', 'a\uFE0F', 'a\u{E0100}', '\u3164', '\uFFA0', 'a\u034Fb', 'a\u{E0041}'],
    'control characters': ['a\0b', 'a\tb', 'a\nb', 'ab\n', 'a\x7Fb', 'a\x85b'],
    'controls of direction': ['a\u202Eb', 'a\u200Eb', 'a\u200Fb', 'a\u061Cb', 'a\u2066b\u2069'],
    spaces: ['a\u00A0b', 'a\u2003b', 'a\u2028b', ' ab', 'ab ', 'ab\u3000', ' '],
    symbols: ['a😀', 'a€', 'o’neill', '￡'],
    'signs away from their letters': ['a\u00B7b', 'l\u00B7', '\u0375a', 'a\u05F3', 'a\u30FBb', '\u0645\u0661\u06F1', 'س\u0640س', '\u1100'],
    'lone surrogates': ['a\uD83D', '\uDE00a'],
    colons: ['a:b', 'a：b'],
    tokens: ['eyJhbGciOiJIUzI1NiJ9.e30.c2ln', 'eyJhbGciOiJub25lIn0.e30.', 'EYJHBGCIOIJIUZI1NIJ9.E30.C2LN', 'ｅｙＪｈ．e30．c2ln', 'mst_0123456789abcdefghijABCDEFGHIJ012345', 'MST_', 'ｍｓｔ＿abc'],
    'two directions in one word': ['שלוםabc', 'abcשלום', '1שלום', 'שלום-', '𐴀1𐴰', 'abc שלוםabc']
  }
  for (const [kind, names] of Object.entries(refused)) {
    for (const [index, name] of names.entries()) {
      const answer = await register(server, name)
      isProblem(t, answer, 400, 'username_invalid', `${kind} ${index}`)
      t.strictSame(answer.json.errors.map((error: { field: string }) => error.field), ['username'], kind)
    }
  }
  for (const name of ['', 'x'.repeat(65), '𠜎'.repeat(65), 'x'.repeat(60_000)]) {
    const answer = await register(server, name)
    isProblem(t, answer, 400, 'validation_failed', name.slice(0, 4) + name.length)
    t.strictSame(answer.json.errors.map((error: { field: string }) => error.field), ['username'])
  }
  t.equal((await register(server, 'first')).json.id, 1)
})

t.test('a registration whose name is taken is refused before the costly hash', async t => {
  const server = await startServer(t)
  const hashed = countHashes(t)
  for (const [status, hashes] of [[201, 1], [400, 0]]) {
    t.equal((await register(server, 'ann')).status, status)
    t.equal(hashed(), hashes)
  }
})

t.test('a password works exactly as sent after NFC, and no other does', async t => {
  const server = await startServer(t)
  const passwords: [registered: string, same: string[], others: string[]][] = [
    ['pwd', [], ['Pwd', ' pwd', 'pwd ', 'pwd\0', 'pw', '']],
    [' pwd ', [], ['pwd', 'pwd ', ' pwd']],
    [' ', [], ['', '  ']],
    ['x', [], ['X']],
    ['a:b:c', [], ['a', 'b:c']],
    ['abc\0def', [], ['abc', 'abc\0deF']],
    ['\uFEFFpwd', [], ['pwd']],
    ['café', ['cafe\u0301'], ['cafe', 'CAFÉ']],
    ['cafe\u0301s', ['cafés'], []],
    ['ﬃ²', [], ['ffi2']],
    ['p\u200Bwd\r\n', [], ['pwd', 'p\u200Bwd']],
    ['😀密码', [], ['😀密']],
    ['x'.repeat(1024), [], ['x'.repeat(1023), 'x'.repeat(1023) + 'y', 'x'.repeat(1025), 'x'.repeat(72)]],
    ['é'.repeat(512), ['e\u0301'.repeat(512)], ['é'.repeat(511) + 'e', 'é'.repeat(513)]],
    ['e\u0301'.repeat(512), ['é'.repeat(512)], []],
    // The sequence that NFC shortens the most.
    ['\u1FBE\u0308\u0301'.repeat(512), ['\u0390'.repeat(512)], ['\u1FBE\u0308\u0301'.repeat(513), '\u0390'.repeat(513)]]
  ]
  for (const [index, [registered, same, others]] of passwords.entries()) {
    const name = `user${index}`
    t.equal((await register(server, name, registered)).status, 201, JSON.stringify(registered.slice(0, 12)))
    await Promise.all([registered, ...same].map(async password => t.equal((await signIn(server, name, password)).status, 200, `${name}: ${JSON.stringify(password.slice(0, 12))}`)))
    await Promise.all(others.map(async password => isProblem(t, await signIn(server, name, password), 401, 'credentials_wrong', `${name} not: ${JSON.stringify(password.slice(0, 12))}`)))
  }
})

t.test('a password that is empty, longer than 1,024 bytes or ill-formed is 400 under every policy', async t => {
  for (const policy of ['open', 'strict']) {
    await t.test(policy, async t => {
      const server = await startServer(t, { PASSWORD_POLICY: policy })
      for (const password of ['x'.repeat(1025), 'é'.repeat(513), '\u0958'.repeat(341), 'x'.repeat(60_000), 'correct horse \uD800']) {
        const answer = await register(server, 'someone', password)
        isProblem(t, answer, 400, 'password_invalid', JSON.stringify(password.slice(-3)))
        t.strictSame(answer.json.errors.map((error: { field: string }) => error.field), ['password'])
      }
      isProblem(t, await register(server, 'someone', ''), 400, 'validation_failed')
      t.equal((await register(server, 'someone', 'correct horse battery')).json.id, 1)
    })
  }
})

t.test('what fits after NFC is never refused for its length before, whatever characters it is of', async t => {
  // The longest decomposition of each character that NFC leaves unchanged: every part replaced by its longest
  // equivalent.
  const points = Array.from({ length: 0x110000 }, (_, point) => String.fromCodePoint(point))
    .filter(character => character.isWellFormed())
  const longest = new Map<string, string>()
  for (const character of points) {
    const part = character.normalize('NFD')
    if (Array.from(part).length === 1 && character.length >= (longest.get(part)?.length ?? 0)) {
      longest.set(part, character)
    }
  }
  const refused = points.filter(character => character.normalize('NFC') === character).filter(character => {
    const written = Array.from(character.normalize('NFD'), part => longest.get(part)).join('')
    return normaliseWithin(written, Buffer.byteLength(character)) !== character
  })
  t.strictSame(refused, [])
})

t.test('the password rule itself refuses the empty one, for those who do not come over HTTP', async t => {
  const passwords = await createPasswords('open')
  t.throws(() => passwords.accept('', 'someone'), { code: 'password_invalid' })
  t.equal(passwords.accept('cafe\u0301', 'someone'), 'café')
})

t.test('the strict policy asks for 8 characters and refuses common passwords and the username', async t => {
  const server = await startServer(t, { PASSWORD_POLICY: 'strict' })
  const refused = { short: 'tr0ub4d', 'short, in 14 units of UTF-16': '😀😁😂😃😄😅😆', common: 'password1', 'common, in capitals': 'PASSWORD1', numbers: '123456789', 'the username': 'émile.zola', 'the username in capitals': 'ÉMILE.ZOLA', 'the username, decomposed': 'e\u0301mile.zola', 'the username in another width': '\uFF45\u0301\uFF4Dile.zola' }
  for (const [kind, password] of Object.entries(refused)) {
    const answer = await register(server, 'Émile.Zola', password)
    isProblem(t, answer, 400, 'password_invalid', kind)
    t.notMatch(answer.text, password, 'it is not told back')
  }
  t.equal((await register(server, 'Émile.Zola', 'j4ccuse!')).status, 201)
  t.equal((await register(server, 'smiling', '😀😁😂😃😄😅😆😇')).status, 201)
  t.equal((await register(server, 'spaces', 'a       ')).status, 201)
})

t.test('only the argon2id hash of a password is stored', async t => {
  const server = await startServer(t)
  await register(server, 'test_user', 'a-password-like-no-other')
  await signIn(server, 'test_user', 'a-password-like-no-other')
  await server.close()
  const stored = await textOfDatabase(server.dataDir)
  t.match(stored, 'test_user')
  t.match(stored, '$argon2id$v=19$m=19456,t=2,p=1$')
  t.notMatch(stored, 'a-password-like-no-other')
})

t.test('a body of JSON that is not a registration is 400 and names every field that is wrong', async t => {
  const server = await startServer(t)
  const bodies: [body: string, fields: string[]][] = [
    ['null', ['']], ['true', ['']], ['17', ['']], ['"text"', ['']], ['[]', ['']], ['[{"username":"a","password":"b"}]', ['']],
    ['{}', ['username', 'password']],
    ['{"username":"a"}', ['password']],
    ['{"password":"b"}', ['username']],
    ['{"username":"a","password":"b","id":7}', ['id']],
    ['{"username":"a","password":"b","constructor":7}', ['constructor']],
    ['{"username":"a","password":"b","isAdmin":true,"quotaBytes":1}', ['isAdmin', 'quotaBytes']],
    ['{"Username":"a","password":"b"}', ['username', 'Username']],
    ['{"username":1,"password":"b"}', ['username']],
    ['{"username":null,"password":"b"}', ['username']],
    ['{"username":"a","password":12345678}', ['password']]
  ]
  for (const [body, fields] of bodies) {
    const answer = await server.send('POST', '/api/users', { headers: { 'content-type': 'application/json' }, body })
    isProblem(t, answer, 400, 'validation_failed', body)
    t.strictSame(answer.json.errors.map((error: { field: string }) => error.field).sort(), fields.sort(), body)
    t.ok(answer.json.errors.every((error: { message: string }) => error.message.length > 0), body)
  }
  const many = await server.send('POST', '/api/users', { json: Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`field${index}`, index])) })
  isProblem(t, many, 400, 'validation_failed', 'a thousand extra fields')
  t.equal(many.json.errors.length, 32)
  const long = await server.send('POST', '/api/users', { json: { ['x'.repeat(60_000)]: 1 } })
  isProblem(t, long, 400, 'validation_failed', 'a long field')
  t.ok(long.bytes.length < 4096)
  t.equal((await register(server, 'first')).json.id, 1)
})

t.test('a body that is not JSON, not UTF-8 or reaches for prototypes is 400 and is not echoed', async t => {
  const server = await startServer(t)
  const whole = '{"username":"a","password":"hunter2"}'
  const bodies: (string | Buffer)[] = [
    ' ', 'hunter2', 'username=a&password=hunter2', whole.slice(0, -1), whole + whole, whole + ',', "{'username':'a','password':'hunter2'}", '{"username":"a","password":"hunter2",}', '{"username":"a","password":hunter2}',
    '{"username":"a","password":"hunter2\n"}', '{"username":"a","password":"\\x41hunter2"}', '// hunter2\n' + whole, 'NaN', 'undefined',
    '{"username":"a","password":"hunter2","__proto__":{"isAdmin":true}}',
    '{"__proto__":{"username":"a","password":"hunter2"}}',
    '{"\\u005f\\u005fproto__":{"username":"a","password":"hunter2"}}',
    '{"username":"a","password":{"__proto__":{}}}',
    '{"username":"a","password":"hunter2","constructor":{"prototype":{"isAdmin":true}}}',
    Buffer.from('{"username":"é","password":"hunter2"}', 'latin1'),
    Buffer.from(whole, 'utf16le'),
    Buffer.concat([Buffer.from('{"username":"a'), Buffer.from([0xC0, 0x80]), Buffer.from('","password":"hunter2"}')]),
    Buffer.concat([Buffer.from('{"username":"a'), Buffer.from([0xED, 0xA0, 0x80]), Buffer.from('","password":"hunter2"}')]),
    Buffer.alloc(1000)
  ]
  for (const body of bodies) {
    const answer = await server.send('POST', '/api/users', { headers: { 'content-type': 'application/json' }, body })
    isProblem(t, answer, 400, 'malformed_json', body.toString())
  }
  t.equal(({} as { isAdmin?: boolean }).isAdmin, undefined)
  t.equal((await register(server, 'first')).json.id, 1)
})

t.test('JSON nested as deep as a body can be is 400 at once', async t => {
  const server = await startServer(t)
  const deep: [body: string, code: string][] = [
    ['['.repeat(32_000) + ']'.repeat(32_000), 'validation_failed'],
    ['['.repeat(65_000), 'malformed_json'],
    ['{"a":'.repeat(10_000) + '1' + '}'.repeat(10_000), 'validation_failed'],
    ['{"username":' + '['.repeat(32_000) + ']'.repeat(32_000) + ',"password":"b"}', 'validation_failed'],
    ['{"a":'.repeat(9_000) + '{"__proto__":1}' + '}'.repeat(9_000), 'malformed_json']
  ]
  for (const [body, code] of deep) {
    const answer = await server.send('POST', '/api/users', { headers: { 'content-type': 'application/json' }, body })
    isProblem(t, answer, 400, code, body.slice(0, 20))
    t.ok(answer.bytes.length < 4096)
  }
})

t.test('a JSON body of 64 KiB is read and one byte more is 413, announced or not', async t => {
  const server = await startServer(t)
  const bodyOf = (bytes: number) => {
    const frame = JSON.stringify({ username: 'a', password: '' })
    return frame.replace('""', `"${'x'.repeat(bytes - frame.length)}"`)
  }
  const headers = { 'content-type': 'application/json' }
  const largest = bodyOf(64 * KIB)
  t.equal(largest.length, 65_536)
  isProblem(t, await server.send('POST', '/api/users', { headers, body: largest }), 400, 'password_invalid')
  isProblem(t, await server.send('POST', '/api/users', { headers, body: Readable.from([largest]) }), 400, 'password_invalid')
  isProblem(t, await server.send('POST', '/api/users', { headers, body: bodyOf(65_537) }), 413, 'body_too_large')
  isProblem(t, await server.send('POST', '/api/users', { headers, body: Readable.from([largest, ' ']) }), 413, 'body_too_large')
  isProblem(t, await server.send('POST', '/api/users', { headers, body: bodyOf(10 * MIB) }), 413, 'body_too_large', 'a password of 10 MB')
  isProblem(t, await server.send('POST', '/api/users', { headers, body: Readable.from(Array.from({ length: 160 }, () => 'x'.repeat(65_536))) }), 413, 'body_too_large', '10 MB in chunks')
  const socket = connect(server.port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.write('POST /api/users HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n')
  const [refusal] = await once(socket, 'data')
  t.match(refusal.toString(), /^HTTP\/1\.1 413 /, 'refused by its announcement alone')
  t.equal((await register(server, 'first')).json.id, 1)
})

t.test('a body of another type is 415, and JSON may name its charset', async t => {
  const server = await startServer(t)
  const body = '{"username":"a","password":"b"}'
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/octet-stream', 'text/json', 'application/problem+json', 'application/jsonx', 'json', '/', 'application/json garbage', '*/*']) {
    isProblem(t, await server.send('POST', '/api/users', { headers: { 'content-type': type }, body }), 415, 'unsupported_media_type', type)
  }
  isProblem(t, await server.send('POST', '/api/users', { body }), 415, 'unsupported_media_type', 'no type')
  isProblem(t, await server.send('POST', '/api/users'), 400, 'validation_failed', 'neither a type nor a body')
  isProblem(t, await server.send('POST', '/api/users', { headers: { 'content-type': 'application/json' }, body: '' }), 400, 'validation_failed', 'a type without a body')
  for (const [index, type] of ['application/json', 'application/json; charset=utf-8', 'application/json;charset="UTF-8"', 'Application/JSON'].entries()) {
    const answer = await server.send('POST', '/api/users', { headers: { 'content-type': type }, json: { username: `user${index}`, password: 'pwd' } })
    t.equal(answer.status, 201, type)
  }
  const marked = await server.send('POST', '/api/users', { headers: { 'content-type': 'application/json' }, body: '\uFEFF{"username":"marked","password":"pwd"}' })
  t.equal(marked.json.username, 'marked', 'a byte order mark is passed over')
})

t.test('a request without a body may say that it is JSON', async t => {
  const server = await startServer(t)
  await register(server, 'test_user')
  const headers = { 'content-type': 'application/json' }
  const user: [string, string] = ['test_user', 'pwd']
  t.equal((await server.send('PUT', '/uploads/a.txt', { user, body: 'a' })).status, 201)
  t.equal((await server.send('GET', '/uploads/a.txt', { user, headers })).status, 200)
  t.equal((await server.send('DELETE', '/uploads/a.txt', { user, headers: { ...headers, 'content-length': '0' } })).status, 204)
  isProblem(t, await server.send('DELETE', '/uploads/a.txt', { user, headers }), 404, 'not_found')
})

t.test('a registration that is cut in its body adds nobody', async t => {
  const server = await startServer(t)
  const whole = rawRegistration('cut', { fields: [`Host: 127.0.0.1:${server.port}`] })
  const socket = connect(server.port, '127.0.0.1')
  socket.end(whole.slice(0, -1))
  t.match(Buffer.concat(await socket.toArray()).toString(), /^HTTP\/1\.1 400 /)
  t.equal((await register(server, 'first')).json.id, 1)
})

t.test('REGISTRATION=closed refuses everybody and keeps those who are there', async t => {
  const dataDir = t.testdir()
  const open = await startServer(t, { DATA_DIR: dataDir })
  await register(open, 'early')
  await open.close()
  const closed = await startServer(t, { DATA_DIR: dataDir, REGISTRATION: 'closed' })
  for (const name of ['late', 'early', 'a:b']) isProblem(t, await register(closed, name), 403, 'registration_closed', name)
  isProblem(t, await closed.send('GET', '/api/users/2'), 400, 'user_unknown')
  t.equal((await signIn(closed, 'early')).status, 200)
})

t.test('Location is absolute for the address that the server listens on, and a path for every other Host', async t => {
  const server = await startServer(t)
  const { port } = server
  const hosts: [host: string, origin: string][] = [
    [`127.0.0.1:${port}`, `http://127.0.0.1:${port}`],
    [`localhost:${port}`, `http://localhost:${port}`],
    [`LocalHost:${port}`, `http://localhost:${port}`],
    [`[::1]:${port}`, `http://[::1]:${port}`],
    ['127.0.0.1', ''],
    ['localhost', ''],
    ['127.0.0.1:1', ''],
    ['evil.example', ''],
    [`evil.example:${port}`, ''],
    [`localhost.evil.example:${port}`, ''],
    ['127.0.0.1:99999', ''],
    ['', '']
  ]
  for (const [index, [host, origin]] of hosts.entries()) {
    const answer = await sendRaw(port, rawRegistration(`user${index}`, { fields: [`Host: ${host}`, 'X-Forwarded-Host: evil.example', 'X-Forwarded-Proto: https', 'Forwarded: host=evil.example;proto=https'] }))
    t.match(answer, /^HTTP\/1\.1 201 /, host)
    t.equal(locationOf(answer), `${origin}/api/users/${index + 1}`, host)
    t.notMatch(answer, 'evil', host)
  }
  for (const host of ['127.0.0.1@evil.example', 'evil@127.0.0.1', '127.0.0.1/evil', '127.0.0.1?evil', '127.0.0.1#evil', '127.0.0.1, evil.example', 'http://evil.example', 'a b', '[::1', 'a:b:c', 'a:x', 'é', '%zz']) {
    t.match(await sendRaw(port, rawRegistration('nobody', { fields: [`Host: ${host}`] })), /^HTTP\/1\.1 400 [^]*"code":"malformed_request"/, host)
  }
  const old = await sendRaw(port, rawRegistration('old', { version: '1.0' }))
  t.match(old, /^HTTP\/1\.1 201 /)
  t.equal(locationOf(old), `/api/users/${hosts.length + 1}`, 'HTTP/1.0 without Host')
})

t.test('PUBLIC_URL is the base of Location, whatever Host is sent', async t => {
  for (const [publicUrl, base] of [['https://files.example.org', 'https://files.example.org'], ['https://files.example.org/', 'https://files.example.org'], ['http://example.org:8080/store/', 'http://example.org:8080/store']] as const) {
    await t.test(publicUrl, async t => {
      const server = await startServer(t, { PUBLIC_URL: publicUrl })
      for (const [index, fields] of [[`Host: 127.0.0.1:${server.port}`], ['Host: evil.example'], ['Host: ']].entries()) {
        t.equal(locationOf(await sendRaw(server.port, rawRegistration(`user${index}`, { fields }))), `${base}/api/users/${index + 1}`, String(fields))
      }
      t.equal(locationOf(await sendRaw(server.port, rawRegistration('old', { version: '1.0' }))), `${base}/api/users/4`)
    })
  }
})

t.test('a link follows the socket: its scheme, its address however spelled, its default port', async t => {
  const links = createLinks(undefined)
  const table: [host: string, socket: {
    encrypted?: boolean, localAddress?: string, localPort: number
  }, origin: string][] = [
    ['192.0.2.1', { encrypted: true, localAddress: '192.0.2.1', localPort: 443 }, 'https://192.0.2.1'],
    ['192.0.2.1', { localAddress: '192.0.2.1', localPort: 80 }, 'http://192.0.2.1'],
    ['192.0.2.1:443', { localAddress: '192.0.2.1', localPort: 443 }, 'http://192.0.2.1:443'],
    ['192.0.2.1', { localAddress: '192.0.2.1', localPort: 443 }, ''],
    ['192.0.2.1:5000', { localAddress: '::ffff:192.0.2.1', localPort: 5000 }, 'http://192.0.2.1:5000'],
    ['[2001:db8::1]:5000', { localAddress: '2001:db8::1', localPort: 5000 }, 'http://[2001:db8::1]:5000'],
    ['localhost:5000', { localAddress: '::ffff:127.0.0.1', localPort: 5000 }, 'http://localhost:5000'],
    ['localhost:5000', { localAddress: '192.0.2.1', localPort: 5000 }, ''],
    ['192.0.2.2:5000', { localAddress: '192.0.2.1', localPort: 5000 }, ''],
    ['192.0.2.1:5000', { localPort: 5000 }, '']
  ]
  for (const [host, socket, origin] of table) t.equal(links.to({ headers: { host }, socket }, '/x'), `${origin}/x`, `${host} at ${JSON.stringify(socket)}`)
})

t.test('a route outside the authenticated scopes fails at its first call, and the client learns nothing of it', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.setErrorHandler(sendProblem)
  prepareCallers(app)
  app.get('/', async request => callerOf(request).account.id)
  app.get('/visit', async request => visitOf(request).link.id)
  app.get('/broken', async () => { throw Object.assign(new Error('hunter2'), { statusCode: 502 }) })
  app.get('/refused', async () => { throw Object.assign(new Error('hunter2'), { statusCode: 418 }) })
  app.get('/invalid', async () => { throw Object.assign(new Error('hunter2'), { validation: [{ instancePath: '/a/0', params: {} }] }) })
  app.get('/damaged', async () => { throw new Problem('file_damaged') })
  const codes = { '/': [500, 'internal_error'], '/visit': [500, 'internal_error'], '/broken': [500, 'internal_error'], '/refused': [400, 'malformed_request'], '/invalid': [400, 'validation_failed'], '/damaged': [500, 'file_damaged'] } as const
  for (const [url, [status, code]] of Object.entries(codes)) {
    const answer = await app.inject(url)
    t.equal(answer.statusCode, status, url)
    t.equal(answer.json().code, code, url)
    t.match(answer.headers['content-type'], /^application\/problem\+json/, url)
    t.equal(answer.headers['cache-control'], 'no-store', url)
    t.notMatch(answer.body, /hunter2|authenticated|visitors/, url)
  }
  t.match((await app.inject('/invalid')).json().errors, [{ field: 'a.0', message: /./ }])
})

t.test('bytes that are no HTTP request are answered with a problem too', async t => {
  const server = await startServer(t)
  const wire: [bytes: string, status: number, code: string][] = [
    ['hello\r\n\r\n', 400, 'malformed_request'],
    ['BREW / HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'malformed_request'],
    [`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'head_too_large'],
    [`GET /api/token HTTP/1.1\r\nHost: a\r\nAuthorization: Basic ${Buffer.from('a:' + 'x'.repeat(20_000)).toString('base64')}\r\n\r\n`, 431, 'head_too_large']
  ]
  for (const [bytes, status, code] of wire) {
    const answer = await sendRaw(server.port, bytes)
    const [head = '', body = ''] = answer.split('\r\n\r\n')
    t.match(head, new RegExp(`^HTTP/1\\.1 ${status} `), code)
    for (const field of ['Content-Type: application/problem+json', 'Cache-Control: no-store', 'X-Content-Type-Options: nosniff', `Content-Length: ${body.length}`]) t.match(head, field)
    t.match(JSON.parse(body), { status, code, type: `urn:magicstore:problem:${code}` })
  }
  for (const fields of ['', 'Host: a\r\nHost: a\r\n', 'Host: a\r\nhost: b\r\n']) {
    const answer = await sendRaw(server.port, `GET /api/users/1 HTTP/1.1\r\n${fields}Connection: close\r\n\r\n`)
    t.match(answer, /^HTTP\/1\.1 400 /, `HTTP/1.1 with ${fields}`)
    t.match(answer, /x-content-type-options: nosniff[^]*"code":"malformed_request"/, `HTTP/1.1 with ${fields}`)
  }
  const late = clientErrorResponse(Object.assign(new Error('late'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }))
  t.match(late, /^HTTP\/1\.1 408 Request Timeout\r\n/)
  t.match(late, new Problem('request_timeout').message)
})
