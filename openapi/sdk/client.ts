import createClient, { type Client } from 'openapi-fetch'
import type { components, paths } from './schema.js'

/** Address of the server, unless another is given. */
declare const BASE_URL: string
/** Operations that ask for no credentials. */
declare const PUBLIC: readonly string[]
/** Operations that take the password itself. */
declare const WITH_PASSWORD: readonly string[]

/** What the server says of a file. */
export type StoredFile = components['schemas']['StoredFile']

/** What the server says of a refusal (RFC 9457). */
export type Problem = components['schemas']['Problem']

/** A password is traded for an access token, and for the next one before that ends; a token is sent as it is. */
export type Credentials = { username: string, password: string } | { token: string }

export interface MagicStoreOptions {
  baseUrl?: string | undefined
  credentials?: Credentials | undefined
  /** In place of the global one: for timeouts, proxies, logs. */
  fetch?: ((request: Request) => Promise<Response>) | undefined
}

/** For optimistic writing: both lead to 412 where they do not hold. */
export interface Preconditions {
  /** The entity tag of the version to replace. */
  ifMatch?: string | undefined
  /** `*` to replace nothing. */
  ifNoneMatch?: string | undefined
}

/** Positions of the first and the last byte, counted from 0; without a last one, up to the end. */
export interface ByteRange { first: number, last?: number | undefined }

export interface Download {
  stream: ReadableStream<Uint8Array>
  /** Its headers tell entity tag, digest and media type. */
  response: Response
}

export type ListQuery = Omit<NonNullable<paths['/api/files']['get']['parameters']['query']>, 'cursor'>

export interface MagicStore {
  /** Every operation of the server's document. It answers `{ data, error, response }`, which `bodyOf` makes simpler. */
  readonly api: Client<paths>
  /** Creates a file. The same bytes under the same name again are no error, other bytes are `name_taken`. */
  upload (file: Blob, name?: string): Promise<StoredFile>
  /** Creates or replaces a file. */
  put (name: string, bytes: Blob, preconditions?: Preconditions): Promise<StoredFile>
  /** The whole file or a range of it, as it arrives. */
  download (name: string, range?: ByteRange): Promise<Download>
  /** All files, page by page as they are wanted. */
  list (query?: ListQuery): AsyncGenerator<StoredFile, void, undefined>
}

/** Thrown for every answer that is no success. */
export class MagicStoreError extends Error {
  readonly status: number
  /** The stable word for the kind of failure; undefined where something else than MagicStore answered. */
  readonly code: string | undefined
  readonly problem: Problem | undefined

  constructor (status: number, answered: unknown) {
    const problem = isProblem(answered) ? answered : undefined
    super(problem === undefined ? `status ${status}` : `${problem.code}: ${problem.detail}`)
    this.name = 'MagicStoreError'
    this.status = status
    this.code = problem?.code
    this.problem = problem
  }
}

export function createMagicStore ({ baseUrl = BASE_URL, credentials, fetch = globalThis.fetch }: MagicStoreOptions = {}): MagicStore {
  // Without a Content-Type of the client's own, fetch takes that of the body.
  const api = createClient<paths>({ baseUrl, fetch, headers: { 'Content-Type': null }, bodySerializer: writeBody })
  if (credentials !== undefined) authorize(api, credentials)
  return {
    api,
    async upload (file, name) {
      const named = name === undefined ? file : new File([file], name, { type: file.type })
      return bodyOf(await api.POST('/', { body: { file: named } }))
    },
    async put (name, bytes, { ifMatch, ifNoneMatch } = {}) {
      const header = { ...(ifMatch !== undefined && { 'if-match': ifMatch }), ...(ifNoneMatch !== undefined && { 'if-none-match': ifNoneMatch }) }
      return bodyOf(await api.PUT('/uploads/{name}', { params: { path: { name }, header }, body: bytes }))
    },
    async download (name, range) {
      const header = range === undefined ? {} : { range: `bytes=${range.first}-${range.last ?? ''}` }
      const answer = await api.GET('/uploads/{name}', { params: { path: { name }, header }, parseAs: 'stream' })
      return { stream: bodyOf(answer) ?? new Blob([]).stream(), response: answer.response }
    },
    async * list (query = {}) {
      let cursor: string | null = null
      do {
        const page: components['schemas']['FileList'] = bodyOf(await api.GET('/api/files', { params: { query: { ...query, ...(cursor !== null && { cursor }) } } }))
        yield * page.files
        cursor = page.next
      } while (cursor !== null)
    }
  }
}

/** The body of a success; throws a MagicStoreError for anything else. */
export function bodyOf<Body> ({ data, error, response }: { data?: Body, error?: unknown, response: Response }): Body {
  if (!response.ok) throw new MagicStoreError(response.status, error)
  return data as Body
}

/** The value of an Authorization header: Basic (RFC 7617) or Bearer (RFC 6750). */
export function authorizationOf (credentials: Credentials): string {
  if ('token' in credentials) return `Bearer ${credentials.token}`
  const bytes = new TextEncoder().encode(`${credentials.username}:${credentials.password}`)
  return `Basic ${btoa(String.fromCharCode(...bytes))}`
}

/** Adds to each request what it needs, unless it has an Authorization of its own. */
function authorize (api: Client<paths>, credentials: Credentials): void {
  const given = authorizationOf(credentials)
  const signIn = async () => bodyOf(await api.GET('/api/token', { headers: { authorization: given } }))
  const tokens = 'token' in credentials ? undefined : createTokens(signIn)
  api.use({
    async onRequest ({ request, schemaPath }) {
      const operation = `${request.method} ${schemaPath}`
      if (request.headers.has('authorization') || PUBLIC.includes(operation)) return
      const isGiven = tokens === undefined || WITH_PASSWORD.includes(operation)
      request.headers.set('authorization', isGiven ? given : authorizationOf({ token: await tokens.get() }))
    },
    onResponse ({ response }) {
      if (response.status === 401) tokens?.forget()
    }
  })
}

/** Keeps an access token for nine tenths of its life. Who asks while one is being issued waits for the same one. */
function createTokens (issue: () => Promise<components['schemas']['AccessToken']>) {
  let held: Promise<string> | undefined
  let renewAt = Infinity
  const forget = () => { held = undefined }

  async function renew (): Promise<string> {
    renewAt = Infinity
    const { token, duration } = await issue()
    renewAt = Date.now() + duration * 900
    return token
  }

  return {
    forget,
    get (): Promise<string> {
      if (held !== undefined && Date.now() < renewAt) return held
      const renewed = renew()
      held = renewed
      renewed.catch(() => { if (held === renewed) forget() })
      return renewed
    }
  }
}

/** A file as it is, an object that holds one as a form, anything else as JSON. */
function writeBody (body: unknown): Blob | FormData {
  if (body instanceof Blob) return body
  const fields = Object.entries(body as object)
  if (!fields.some(([, value]) => value instanceof Blob)) return new Blob([JSON.stringify(body)], { type: 'application/json' })
  const form = new FormData()
  for (const [field, value] of fields) form.append(field, value)
  return form
}

function isProblem (answered: unknown): answered is Problem {
  return typeof answered === 'object' && answered !== null && 'code' in answered && 'detail' in answered
}
