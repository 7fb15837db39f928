import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT, type JWTPayload } from 'jose'
import type { Test } from 'tap'
import type { Answer, Client, SendOptions, Settings } from './server.ts'

/** Whom the provider signs in, and what it does wrong. What is undefined is left out. */
export interface SignedInPerson {
  /** Claims of the ID token. */
  claims?: Record<string, unknown>
  /** Claims of UserInfo. */
  userInfo?: Record<string, unknown>
  header?: Record<string, unknown>
  /** Makes another ID token. */
  makeToken?: (claims: JWTPayload, header: { alg: string, kid: string }) => string | Promise<string>
  /** Parameters of the answer that the browser brings. */
  response?: Record<string, string | string[] | undefined>
  /** The nonce of another request. */
  nonce?: string
  /** Takes the code with any verifier. */
  ignoresVerifier?: boolean
}

type Place = 'metadata' | 'keys' | 'token' | 'userinfo'
type Answerer = (response: ServerResponse, request: IncomingMessage) => unknown

export type TestProvider = Awaited<ReturnType<typeof startProvider>>

const CLIENT = { id: 'magicstore', secret: 'a secret: of % the client' }

const hash = (text: string) => createHash('sha256').update(text).digest('base64url')

function sendJson (response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

/** A provider that does what a test says, and else what is right. */
export async function startProvider (t: Test, { path = '', authentication = 'client_secret_post' } = {}) {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const keys = [{ ...await exportJWK(publicKey), kid: 'its', alg: 'ES256', use: 'sig' }]
  const codes = new Map<string, SignedInPerson & { request: URLSearchParams }>()
  const people = new Map<string, SignedInPerson>()
  const requests: { place: Place, body: string, authorization: string | undefined }[] = []
  /** Answers in place of the right ones. */
  const faults: Partial<Record<Place, Answerer>> = {}
  const server = createServer((request, response) => {
    answer(request, response).catch(error => { response.destroy(error) })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const issuer = origin + path
  const metadata: Record<string, unknown> = {
    issuer,
    authorization_endpoint: `${issuer}/authorize?tenant=1`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/keys`,
    userinfo_endpoint: `${issuer}/userinfo`,
    token_endpoint_auth_methods_supported: [authentication],
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
    authorization_response_iss_parameter_supported: true,
    scopes_supported: ['openid', 'profile', 'email', 'groups']
  }

  async function answer (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(String(request.url), origin)
    const place = pathname.endsWith('/openid-configuration') ? 'metadata' : pathname.slice(path.length + 1) as Place
    const body = Buffer.concat(await request.toArray()).toString()
    requests.push({ place, body, authorization: request.headers.authorization })
    const fault = faults[place]
    if (fault !== undefined) await fault(response, request)
    else if (place === 'metadata') sendJson(response, metadata)
    else if (place === 'keys') sendJson(response, { keys })
    else if (place === 'token') await answerToken(new URLSearchParams(body), request, response)
    else {
      const { userInfo, claims = {} } = people.get(String(request.headers.authorization)) ?? {}
      sendJson(response, userInfo ?? { sub: 'ann', ...claims })
    }
  }

  async function answerToken (form: URLSearchParams, { headers }: IncomingMessage, response: ServerResponse) {
    const basic = `Basic ${Buffer.from([CLIENT.id, CLIENT.secret].map(text => new URLSearchParams([['', text]]).toString().slice(1)).join(':')).toString('base64')}`
    const isClient = authentication === 'client_secret_basic'
      ? headers.authorization === basic && !form.has('client_secret')
      : headers.authorization === undefined && form.get('client_id') === CLIENT.id && (authentication === 'none' || form.get('client_secret') === CLIENT.secret)
    if (!isClient) return sendJson(response, { error: 'invalid_client' }, 401)
    const code = String(form.get('code'))
    const person = codes.get(code)
    codes.delete(code)
    const isRight = person !== undefined && form.get('redirect_uri') === person.request.get('redirect_uri') &&
      (person.ignoresVerifier === true || hash(String(form.get('code_verifier'))) === person.request.get('code_challenge'))
    if (!isRight) return sendJson(response, { error: 'invalid_grant' }, 400)
    const accessToken = `access-${randomBytes(16).toString('hex')}`
    people.set(`Bearer ${accessToken}`, person)
    const idToken = await idTokenOf(person)
    sendJson(response, { access_token: accessToken, token_type: 'Bearer', expires_in: 60, refresh_token: 'refresh-secret', ...idToken && { id_token: idToken } })
  }

  async function idTokenOf ({ claims, header, makeToken, request, nonce = String(request.get('nonce')) }: SignedInPerson & { request: URLSearchParams }) {
    const now = Math.floor(Date.now() / 1000)
    const payload = JSON.parse(JSON.stringify({ iss: issuer, aud: CLIENT.id, sub: 'ann', iat: now, exp: now + 60, nonce, ...claims }))
    const protectedHeader = { alg: 'ES256', kid: 'its', ...header }
    if (makeToken !== undefined) return makeToken(payload, protectedHeader)
    return new SignJWT(payload).setProtectedHeader(protectedHeader as { alg: string }).sign(privateKey)
  }

  return {
    issuer,
    metadata,
    keys,
    privateKey,
    faults,
    requests,
    settings: {
      OIDC_ISSUER: issuer,
      OIDC_CLIENT_ID: CLIENT.id,
      ...authentication !== 'none' && { OIDC_CLIENT_SECRET: CLIENT.secret },
      OIDC_ALLOW: 'anyone',
      PUBLIC_URL: 'http://localhost:5000/store'
    } as Settings,

    /** Signs somebody in for whom a browser opens `url`. Returns the query that the browser brings back. */
    signIn (url: string, person: SignedInPerson = {}): string {
      const request = new URL(url).searchParams
      const code = randomBytes(16).toString('hex')
      codes.set(code, { ...person, request })
      const parameters = { code, state: String(request.get('state')), iss: issuer, ...person.response }
      return new URLSearchParams(Object.entries(parameters).flatMap(([name, value]) =>
        [value ?? []].flat().map(each => [name, each]))).toString()
    },

    async close () {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    }
  }
}

/** Where a browser goes, and what the page keeps. */
export async function begin (client: Client, path = '/api/session/oidc', options: SendOptions = {}): Promise<{ url: string, flow: string }> {
  const { status, json, text } = await client.send('POST', `${path}/options`, options)
  if (status !== 200) throw new Error(`${status}: ${text}`)
  return json
}

/** The status, and the code of a refusal. */
export const outcome = ({ status, text }: Answer): string => status < 400 ? String(status) : `${status} ${JSON.parse(text).code}`

/** Goes to the provider and comes back. */
export async function goThrough (
  client: Client, provider: TestProvider, person: SignedInPerson = {}, { path = '/api/session/oidc', begins = {}, ends = begins }: { path?: string, begins?: SendOptions, ends?: SendOptions } = {}
): Promise<Answer> {
  const { url, flow } = await begin(client, path, begins)
  return client.send('POST', path, { ...ends, json: { flow, response: provider.signIn(url, person) } })
}

/** Registers somebody who has an identity only. Returns an access token of the session. */
export async function registerIdentity (
  client: Client, provider: TestProvider, username: string, person: SignedInPerson = { claims: { sub: username } }
): Promise<{ token: string, headers: Record<string, string> }> {
  const { json: { registration } } = await goThrough(client, provider, person)
  const { status, json, headers, text } = await client.send('POST', '/api/session/oidc/registration', { json: { registration, username } })
  if (status !== 201) throw new Error(`${status}: ${text}`)
  return { token: json.token, headers: { cookie: String(headers['set-cookie']?.[0]?.split(';')[0]), 'session-key': json.key } }
}
