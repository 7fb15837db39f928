import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import tap, { test } from 'tap'
import { createLinks } from '#src/http/links.ts'
import { runCommand } from '../kit/commands.ts'
import { checkConformance } from '../kit/conformance.ts'
import { SEED } from '../kit/random.ts'
import { sizes } from '../kit/sizes.ts'
import { formOf, signUp, startServer, type Answer, type RunningServer } from '../kit/server.ts'
import { exchange } from '../kit/wire.ts'
import { createDrawer, operationsOf, type Document, type Drawer, type Listed, type Parameter, type Schema } from './arbitraries.ts'
import { bytesOf, mutate, mutations, type WireRequest } from './mutations.ts'

const runs = sizes.propertyRuns

/**
 * Operations that hash a password, or need it afterwards, run fewer cases, by this factor: each takes 20 ms of CPU or
 * more.
 */
const HASHING_SHARE = 5
const HASHING = new Set([
  'registerUser', 'createToken', 'createSession', 'deleteSession', 'changePassword', 'deleteAccount', 'deleteTokens', 'createTotp', 'confirmTotp',
  'deleteTotp', 'createRecoveryCodes', 'createPasskeyOptions', 'registerPasskey', 'deletePasskey', 'confirmPasskeyOptions', 'confirmPasskey',
  'connectIdentity', 'deleteIdentity', 'createLink', 'changeLink', 'unlockLink', 'allowConnection'
])

/**
 * Need what nobody can draw: the code of an app or of a connection, what an authenticator or a provider has signed, or
 * the link of an operator.
 */
const UNDRAWABLE = new Set([
  'confirmTotp', 'deleteTotp', 'createRecoveryCodes', 'registerPasskey', 'deletePasskey', 'confirmPasskey', 'createPasskeySession', 'claimAccount', 'confirmClaim',
  'confirmClaimOptions', 'checkClaim', 'createConnectionToken', 'findConnection', 'allowConnection', 'refuseConnection', 'createIdentitySessionOptions', 'createIdentitySession', 'registerIdentity', 'listIdentities', 'createIdentityOptions', 'connectIdentity',
  'deleteIdentity', 'confirmIdentityOptions', 'confirmIdentity', 'putThumbnail', 'getThumbnail', 'setTakenAt', 'getSharedThumbnail'
])

/** Maximum number of attempts to get one success from an operation: few runs may all be unlucky. */
const MAX_ROUNDS = 40

/** Time limit for reducing a failure to its smallest example. */
const SHRINKING_MILLISECONDS = 60_000

const settings = { RATE_LIMIT_PER_MINUTE: '0', REGISTRATIONS_PER_HOUR: '0', SIGN_IN_FAILURES: '1000000', MAX_FILE_BYTES: '100000', MAX_EVENT_LOOP_DELAY_MS: '0', LINKS: 'on', LINK_MAX_DAYS: '0' }

/** Known values of stored resources, by the name of the parameter that accepts them. */
type Known = Record<string, string[]>

interface Fixture {
  readonly server: RunningServer
  readonly known: Known
  user: [string, string]
  /** An access token, and a personal token with every scope. */
  token: string
  personal: string
  /** The headers of a session. */
  session: Record<string, string>
  userCount: number
}

/** A value that matches the schema, or an index into the known values. */
type Drawn = { is: unknown } | { known: number }

interface Recipe {
  files: { name: string, bytes: Uint8Array }[]
  parameters: Record<string, Drawn | null>
  body: unknown
  credential: number
}

const hints = {
  username: fc.stringMatching(/^[a-z][a-z0-9]{0,20}$/),
  password: fc.stringMatching(/^[ -~]{8,40}$/),
  expiresAt: fc.date({ min: new Date('2100-01-01'), max: new Date('2200-01-01'), noInvalidDate: true }).map(date => date.toISOString()),
  name: fc.stringMatching(/^[a-z]{1,8}(?:\.txt|\.pdf|\.html)?$/),
  order: fc.constantFrom('name', '-name')
}

/** Characters allowed in a field value (RFC 9110 section 5.5), limited to Latin-1 as in Node's client. */
const isFieldValue = (value: string) => /^[\t -~\x80-\xFF]*$/.test(value)

function parameterValues (drawer: Drawer, { in: place, name, schema }: Parameter): fc.Arbitrary<Drawn> {
  const values = drawer.valuesOf(schema, name).filter(value => place !== 'header' || isFieldValue(value))
  return fc.oneof(values.map(is => ({ is })), fc.nat(999).map(known => ({ known })))
}

function bodyValues (drawer: Drawer, { operation }: Listed): fc.Arbitrary<unknown> {
  const [media] = Object.values(operation.requestBody?.content ?? {})
  if (media === undefined) return fc.constant(undefined)
  if (isBinary(media.schema)) return fc.uint8Array({ maxLength: 2000 })
  if (isBinary(media.schema.properties?.file)) {
    return fc.record({ file: fc.uint8Array({ maxLength: 2000 }), filename: hints.name })
  }
  return drawer.valuesOf(media.schema)
}

const isBinary = (schema: Schema | undefined) => schema?.format === 'binary'

function recipesFor (drawer: Drawer, listed: Listed): fc.Arbitrary<Recipe> {
  const parameters = listed.operation.parameters ?? []
  return fc.record({
    files: fc.array(fc.record({ name: hints.name, bytes: fc.uint8Array({ maxLength: 2000 }) }), { maxLength: 2 }),
    parameters: fc.record(Object.fromEntries(parameters.map(parameter => {
      const values = parameterValues(drawer, parameter)
      return [parameter.name, parameter.required === true ? values : fc.option(values, { freq: 1 })]
    }))),
    body: bodyValues(drawer, listed),
    credential: fc.nat(99)
  })
}

function valueOf (name: string, drawn: Drawn, { known }: Fixture): string {
  const choice = known[name] ?? []
  return 'is' in drawn ? String(drawn.is) : choice[drawn.known % choice.length] ?? ''
}

/** The request for a recipe, with the current values of the fixture. */
function requestOf ({ method, path, operation }: Listed, recipe: Recipe, fixture: Fixture): WireRequest {
  const given = (operation.parameters ?? []).flatMap(({ name, in: place }) => {
    const drawn = recipe.parameters[name]
    const kind = name === 'id' ? kindOfId(path) : name
    return drawn === null || drawn === undefined ? [] : [{ name, place, value: valueOf(kind, drawn, fixture) }]
  })
  const fixed = recipe.credential % 2 === 0 ? byProtocol[operation.operationId] : undefined
  const placed = (place: string) => place === 'header' && fixed !== undefined ? Object.entries(fixed).map(([name, value]) => ({ name, value })) : given.filter(each => each.place === place)
  const query = new URLSearchParams(placed('query').map(({ name, value }) => [name, value])).toString()
  const address = placed('path').reduce((text, { name, value }) => text.replace(`{${name}}`, encodeURIComponent(value)), path)
  const known = recipe.credential % 2 === 0 ? knownBody(operation.operationId, fixture) : undefined
  const drawn = known ?? recipe.body
  const { headers, body } = contentOf(operation.requestBody?.content ?? {}, drawn)
  return {
    method,
    target: query === '' ? address : `${address}?${query}`,
    version: 'HTTP/1.1',
    headers: [['host', `127.0.0.1:${fixture.server.port}`], ['connection', 'close'], ...Object.entries(headers), ...credentials(operation.security, recipe.credential, fixture), ...placed('header').map(({ name, value }): [string, string] => [name, value])],
    lines: [],
    body,
    framing: body.length === 0 && operation.requestBody === undefined ? 'none' : 'length'
  }
}

/** Bodies that name what exists. */
function knownBody (operationId: string, { known }: Fixture): object | undefined {
  if (operationId === 'restoreDeletion') return { deletedWith: known.deletedWith?.[0] }
  if (operationId === 'zipFiles') return { names: ['full'] }
  if (operationId === 'changeLink') return { showsOwner: false }
  return operationId === 'createLink' ? { name: 'full/file', kind: 'download' } : undefined
}

/** What the id in a path is that of, and its name among the known values. */
function kindOfId (path: string): string {
  if (path.startsWith('/api/links')) return 'link'
  if (path.startsWith('/s/')) return 'sharedUpload'
  if (path.startsWith('/api/trash/deletions')) return 'deletedWith'
  return path.startsWith('/api/uploads') ? 'upload' : path.startsWith('/api/trash') ? 'trash' : path.includes('/versions/') ? 'version' : 'id'
}

function contentOf (
  content: Record<string, { schema: Schema }>, drawn: any
): { headers: Record<string, string>, body: Buffer } {
  const [type] = Object.keys(content)
  if (type === undefined) return { headers: {}, body: Buffer.alloc(0) }
  if (type === 'multipart/form-data') return formOf(drawn.filename, drawn.file)
  return { headers: { 'content-type': type }, body: drawn instanceof Uint8Array ? Buffer.from(drawn) : Buffer.from(JSON.stringify(drawn)) }
}

/** One of the operation's schemes: the password if no other is possible, and in one of 100 cases. */
function credentials (
  security: Record<string, string[]>[], choice: number, { user, token, personal, session }: Fixture
): [string, string][] {
  const schemes = security.flatMap(requirement => Object.keys(requirement))
  if (schemes.length === 0) return []
  if (schemes.includes('session')) return Object.entries(session)
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
  const byToken = [`Bearer ${token}`, `Bearer ${personal}`, `Token ${token}`, `Token ${personal}`, basic(`${token}:unused`)]
  return [['authorization', !schemes.includes('bearer') || choice === 0 ? basic(user.join(':')) : String(byToken[choice % byToken.length])]]
}

/** Ensures that the account and its tokens are valid, whatever the last request did, and stores the files. */
async function prepare (
  fixture: Fixture, listed: Pick<Listed, 'path'> & Partial<Listed>, files: Recipe['files']
): Promise<void> {
  const { server, known } = fixture
  const { path } = listed
  if (!await hasTokens(fixture, path)) await signInAgain(fixture)
  if (path === '/api/session') await renewSession(fixture)
  if (path.includes('{id}')) learn(known, (await server.send('GET', '/api/tokens?limit=2', { token: fixture.token })).json)
  if (path.startsWith('/api/uploads/')) await renewUpload(fixture)
  if (/^\/api\/(?:folders|zip|trash\/(?:restore|deletions))\b/.test(path)) await renewFolders(fixture)
  if (path.startsWith('/api/links') || path.startsWith('/s/')) await renewLinks(fixture, listed)
  if (/^\/(?:uploads|api\/files\/.+\/versions|api\/trash)\b/.test(path)) await renewKept(fixture)
  for (const { name, bytes } of files) {
    const { status, json, headers } = await server.send('PUT', `/uploads/${encodeURIComponent(name)}`, { token: fixture.token, body: bytes })
    // A request whose client did not wait for the response, such as an account deletion, may still be in progress.
    if (status === 401 || status === 404) return prepare(fixture, listed, files)
    // An earlier request may have made a folder of this name.
    if (status === 409) continue
    learn(known, json)
    const [tag, date] = [String(headers.etag), new Date(json.updatedAt).toUTCString()]
    for (const field of ['if-match', 'if-none-match', 'if-range']) remember(known, field, tag, '*')
    for (const field of ['if-modified-since', 'if-unmodified-since']) remember(known, field, date)
    for (const field of ['content-digest', 'repr-digest']) remember(known, field, `sha-256=:${Buffer.from(json.sha256, 'hex').toString('base64')}:`)
  }
  if (path.endsWith('/lock')) await renewLock(fixture, path)
}

/** Locks a file or folder, of which alone the name is known. */
async function renewLock ({ server, known, token }: Fixture, path: string): Promise<void> {
  const name = path.startsWith('/api/folders') ? 'locked' : 'locked.txt'
  await server.send('PUT', path.startsWith('/api/folders') ? '/api/folders/locked' : '/uploads/locked.txt', { token })
  const body = '<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'
  await server.send('LOCK', `/dav/${name}`, { token, headers: { 'content-type': 'application/xml' }, body })
  known.name = [name]
}

/** Begins a session, unless there is one: each begin costs a hash. */
async function renewSession (fixture: Fixture): Promise<void> {
  const { server, session, user } = fixture
  if ((await server.send('GET', '/api/session', { headers: session })).status === 200) return
  const { headers, json } = await server.send('POST', '/api/session', { user })
  fixture.session = { cookie: String(headers['set-cookie']?.[0]?.split(';')[0]), 'session-key': json.key }
}

/** Begins an upload, and ends the one before: an account may have 1,000. */
async function renewUpload ({ server, known, token }: Fixture): Promise<void> {
  const [before] = known.upload ?? []
  if (before !== undefined) await server.send('DELETE', `/api/uploads/${before}`, { token })
  const headers = { 'tus-resumable': '1.0.0', 'upload-defer-length': '1', 'upload-metadata': 'filename Yg==' }
  known.upload = [(await server.send('POST', '/api/uploads', { token, headers })).json.id]
}

/**
 * Makes versions of a file, and a file in the trash. Only what belongs together is known: few drawn pairs of a name and
 * an id would.
 */
async function renewKept ({ server, known, token }: Fixture): Promise<void> {
  const change = (method: string, name: string, body?: string) => server.send(method, `/uploads/${name}`, { token, ...(body !== undefined && { body }) })
  for (const body of ['one', 'two', 'three']) for (const name of ['versions.txt', 'deleted.txt']) await change('PUT', name, body)
  await change('DELETE', 'deleted.txt')
  const [versions, trash] = [await server.send('GET', '/api/files/versions.txt/versions', { token }), await server.send('GET', '/api/trash', { token })]
  known.name = ['versions.txt']
  known.version = versions.json.versions?.map(({ id }: { id: string }) => id) ?? []
  known.trash = trash.json.files?.map(({ id }: { id: string }) => id) ?? []
}

/** Makes an empty folder, one with a file, and one in the trash. */
async function renewFolders ({ server, known, token }: Fixture): Promise<void> {
  const ask = (method: string, path: string, body?: string) =>
    server.send(method, path, { token, ...(body !== undefined && { body }) })
  await ask('PUT', '/api/folders/empty')
  for (const name of ['full', 'gone']) await ask('PUT', `/uploads/${name}/file`, name)
  await ask('DELETE', '/api/folders/gone?recursive=true')
  for (const name of ['name', 'folder']) known[name] = ['empty', 'full']
  known.deletedWith = [(await ask('GET', '/api/trash')).json.files?.[0]?.deletedWith]
}

/** Operations by an `upload` link. */
const BY_UPLOAD_LINK = /^(?:put|upload)SharedFile$|SharedUpload$/

/** Makes a link, and ends those before: an account may have 1,000. With an upload, if the operation needs one. */
async function renewLinks ({ server, known, token }: Fixture, { path, operation }: Partial<Listed>): Promise<void> {
  await server.send('DELETE', '/api/links', { token })
  await server.send('PUT', '/uploads/full/file', { token, body: 'full' })
  const kind = BY_UPLOAD_LINK.test(String(operation?.operationId)) ? 'upload' : 'download'
  const { json } = await server.send('POST', '/api/links', { token, json: { name: 'full', kind } })
  known.link = [String(json.id)]
  known.secret = [json.url.slice(-22)]
  if (path?.includes('/files/') === true) known.name = ['file']
  if (path?.includes('/list') === true) known.folder = ['', '/']
  if (path?.startsWith('/s/{secret}/uploads/') !== true) return
  const headers = { 'tus-resumable': '1.0.0', 'upload-defer-length': '1', 'upload-metadata': 'filename Yg==' }
  known.sharedUpload = [(await server.send('POST', `/s/${known.secret[0]}/uploads`, { headers })).json.id]
}

/** Whether the tokens are valid. An expired access token is renewed with the personal one, without hashing. */
async function hasTokens (fixture: Fixture, path: string): Promise<boolean> {
  const { server, token, personal } = fixture
  const isValid = async (token: string) => (await server.send('GET', '/api/resource', { token })).status === 200
  if (path.includes('token') && !await isValid(personal)) return false
  if (await isValid(token)) return true
  const { status, json } = await server.send('GET', '/api/token', { token: personal })
  if (status === 200) fixture.token = json.token
  return status === 200
}

/** Signs in with the password; if it has changed, registers another user. */
async function signInAgain (fixture: Fixture): Promise<void> {
  const { server, known } = fixture
  const { status, json } = fixture.userCount === 0 ? { status: 401, json: undefined } : await server.send('GET', '/api/token', { user: fixture.user })
  if (status === 200) fixture.token = json.token
  else {
    const { user, token, id } = await signUp(server, `user ${++fixture.userCount}`)
    Object.assign(fixture, { user, token })
    remember(known, 'id', String(id))
  }
  const made = await server.send('POST', '/api/tokens', { user: fixture.user, json: { name: 'all', scopes: ['files:read', 'files:write', 'account', 'links'] } })
  if (made.status !== 201) return signInAgain(fixture)
  fixture.personal = made.json.token
}

/** Remembers values for later requests; the newest first, because older resources may be deleted. */
function learn (known: Known, json: any): void {
  if (typeof json !== 'object' || json === null) return
  for (const [name, value] of Object.entries(json)) {
    if (name === 'next' && value !== null) remember(known, 'cursor', String(value))
    else if (name === 'name' || (name === 'id' && typeof value === 'number')) remember(known, name, String(value))
    else learn(known, value)
  }
}

function remember (known: Known, name: string, ...values: string[]): void {
  known[name] = [...values, ...known[name] ?? []].slice(0, 20)
}

/** Of all tests of this file. */
let opened: ReturnType<typeof openFixture> | undefined

async function openFixture (): Promise<{ fixture: Fixture, drawer: Drawer, operations: Listed[] }> {
  const server = await startServer(tap, settings)
  const document: Document = (await server.send('GET', '/openapi.json')).json
  const known: Known = {
    id: ['1'],
    range: ['bytes=0-9', 'bytes=5-', 'bytes=-3', 'bytes=0-1,4-5', 'bytes=9999-']
  }
  const fixture: Fixture = { server, known, user: ['', ''], token: '', personal: '', session: {}, userCount: 0 }
  await signInAgain(fixture)
  return { fixture, drawer: createDrawer(document, hints), operations: operationsOf(document) }
}

function runsOf (
  { operation: { operationId } }: Listed, share: number
): { seed: number, numRuns: number, interruptAfterTimeLimit: number } {
  return {
    seed: SEED,
    numRuns: Math.ceil(share * runs / (HASHING.has(operationId) ? HASHING_SHARE : 1)),
    interruptAfterTimeLimit: SHRINKING_MILLISECONDS
  }
}

/**
 * Rules beyond the schema: a prefix needs an order by name and no search, a cursor belongs to its listing, an expiry
 * must be in the future, only a link for uploads has limits.
 */
const RULED = new Set(['listFiles', 'listChanges', 'listFolders', 'listVersions', 'listTrash', 'createToken', 'createLink', 'changeLink', 'listSharedFolder', 'putThumbnail', 'setTakenAt'])

/**
 * Header fields of uploads that depend on each other: half of the requests have these. Their media type depends on them
 * as well.
 */
const byProtocol: Record<string, Record<string, string>> = {
  createUpload: { 'upload-complete': '?0', 'content-disposition': 'attachment; filename="c.txt"' },
  appendUpload: { 'upload-complete': '?0', 'upload-offset': '0' },
  overrideUpload: { 'tus-resumable': '1.0.0', 'x-http-method-override': 'PATCH', 'upload-offset': '0' },
  createSharedUpload: { 'upload-complete': '?0', 'content-disposition': 'attachment; filename="c.txt"' },
  appendSharedUpload: { 'upload-complete': '?0', 'upload-offset': '0' },
  overrideSharedUpload: { 'tus-resumable': '1.0.0', 'x-http-method-override': 'PATCH', 'upload-offset': '0' }
}

test('a valid request of any operation is never given an undocumented answer, and succeeds at times', async t => {
  const { fixture, drawer, operations } = await (opened ??= openFixture())
  let cases = 0
  for (const listed of operations) {
    const statuses = new Map<number, number>()
    const property = fc.asyncProperty(recipesFor(drawer, listed), async recipe => {
      cases++
      await prepare(fixture, listed, recipe.files)
      const { method, target, headers, body } = requestOf(listed, recipe, fixture)
      // Throws if the response differs from the document.
      const answer = await fixture.server.send(
        method, target, { headers: Object.fromEntries(headers), ...(listed.operation.requestBody && { body }) }
      )
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
      accept(listed, answer)
      if (/json/.test(String(answer.headers['content-type'])) && answer.status < 300 && !/openapi/.test(target)) learn(fixture.known, answer.json)
    })
    const isEnough = (status: number) => status < 400 || UNDRAWABLE.has(listed.operation.operationId)
    const canStop = () => Array.from(statuses.keys()).some(isEnough)
    for (let round = 0; round < MAX_ROUNDS && !canStop(); round++) {
      await fc.assert(property, { ...runsOf(listed, 1), seed: SEED + round })
    }
    t.ok(canStop(), `${listed.operation.operationId}: ${Array.from(statuses).map(pair => pair.join(' x ')).join(', ')}`)
  }
  t.comment(`${operations.length} operations, ${cases} valid requests`)
})

function accept ({ method, operation: { operationId } }: Listed, answer: Answer): void {
  const code = method !== 'HEAD' && answer.status >= 400 ? answer.json.code : undefined
  const isRefusedByForm = code === 'validation_failed' && !RULED.has(operationId)
  if (code === 'unsupported_media_type' && operationId in byProtocol) return
  if (answer.status >= 500 || isRefusedByForm || ['malformed_json', 'malformed_multipart', 'malformed_url', 'unsupported_media_type'].includes(code)) throw new Error(`a valid request was answered ${answer.status} ${answer.text}`)
}

/**
 * Sends a request and checks the first response against the document. Returns its status; 0 if there is none and none
 * is required.
 */
async function sendAndCheck (port: number, request: WireRequest): Promise<number> {
  const { method, target } = request
  const { bytes, isCut, hasRest } = bytesOf(request)
  const isExact = !isCut && !hasRest
  const answers = await exchange(port, { bytes, method, isCut, isExact })
  for (const [index, { status, headers, body }] of answers.entries()) {
    if (status >= 500) throw new Error(`answered ${status} ${body}`)
    if (index > 0) continue
    if (headers.date === undefined) checkRefusal(status, body.toString())
    else checkConformance({ method, path: target, status, headers, body: /json\b/.test(String(headers['content-type'])) ? body.toString() : '' })
  }
  const [first] = answers
  // Node closes the connection of a CONNECT without a listener; invalid bytes after a request may close it before the
  // response is sent.
  if (first === undefined && isExact && method !== 'CONNECT') throw new Error('there was no answer')
  return first?.status ?? 0
}

/** Invalid HTTP, or a head that is too large, is refused before the request is parsed, in a response without a Date. */
function checkRefusal (status: number, body: string): void {
  const { code } = JSON.parse(body)
  if (!['400 malformed_request', '431 head_too_large'].includes(`${status} ${code}`)) throw new Error(`refused with ${status} ${body}`)
}

test('what such requests brought to light stays as it was set right', async t => {
  const { fixture: { server, token }, operations } = await (opened ??= openFixture())
  const credential: [string, string] = ['authorization', `Bearer ${token}`]
  const request: WireRequest = { method: 'GET', target: '/api/resource', version: 'HTTP/1.1', headers: [['host', 'a'], ['connection', 'close'], credential], lines: [], body: Buffer.alloc(0), framing: 'none' }
  const { to } = createLinks(undefined)
  // A UTF-8 host name, as Node reads it: `URL.canParse` began to accept it after some thousand calls.
  const asked = { headers: { host: '\xF0\x9F\x98\x80' }, socket: { localAddress: '127.0.0.1', localPort: 80 } }
  for (let call = 0; call < 20_000; call++) if (to(asked, '/a') !== '/a') t.fail('a Host that is no name steers a link')
  await t.resolves(sendAndCheck(server.port, { ...request, version: 'HTTP/2.0' }), 'a version that is not spoken over this connection')
  for (const { method, path } of operations.filter(each => each.method === 'DELETE' && each.path !== '/api/account')) {
    for (const [type, body] of [['text/plain', 'x'], ['application/json', '{'], ['application/json', `"${'x'.repeat(70_000)}"`]] as const) {
      const target = path.replaceAll(/\{\w+\}/g, '999')
      const status = await sendAndCheck(server.port, { ...request, method, target, headers: [...request.headers, ['content-type', type]], body: Buffer.from(body), framing: 'length' })
      t.notOk([400, 413, 415].includes(status), `the body of ${method} ${path} is not looked at: ${status}`)
    }
  }
})

// The last one: it ends the server.
test('a mutated request is never answered with a 5xx nor anything undocumented, and the server goes on and leaves nothing behind', async t => {
  const { fixture, drawer, operations } = await (opened ??= openFixture())
  const statuses = new Map<number, number>()
  let cases = 0
  for (const listed of operations) {
    const property = fc.asyncProperty(recipesFor(drawer, listed), mutations, async (recipe, chosen) => {
      cases++
      await prepare(fixture, listed, recipe.files)
      const request = mutate(requestOf(listed, recipe, fixture), chosen)
      const status = await sendAndCheck(fixture.server.port, request)
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    })
    await fc.assert(property, runsOf(listed, 2))
    t.pass(listed.operation.operationId)
  }
  await prepare(fixture, { path: '/' }, [])
  await fixture.server.close()
  t.same(await readdir(join(fixture.server.dataDir, 'incoming')), [])
  t.match(await runCommand(['fsck', '--deep'], { DATA_DIR: fixture.server.dataDir }), { code: 0 })
  t.comment(`${operations.length} operations, ${cases} mutated requests; ${Array.from(statuses).sort(([a], [b]) => a - b).map(([status, times]) => `${status === 0 ? 'no answer' : status}: ${times}`).join(', ')}`)
})
