import { hash } from 'node:crypto'
import type { Configuration, CustomFetchOptions, ServerMetadata } from 'openid-client'
import type { IdentityProvider } from '../config/identity-provider.ts'
import { isPrivateUrl } from '../config/loopback.ts'
import { Problem } from '../problems.ts'
import { type ProviderClaims, isSubject, joinClaims, neededClaims } from './claims.ts'

/** How long the metadata of the provider are used. */
const FRESH_MILLISECONDS = 3600_000

/** Time for an answer of the provider. */
const TIMEOUT_SECONDS = 10

/** Largest answer of the provider. */
const MAX_ANSWER_BYTES = 1024 ** 2

/** Answers of the provider that are waited for at once: one that is slow must not fill the memory. */
const MAX_EXCHANGES = 16

const RETRY_SECONDS = 5

/** What must be private among the metadata, and what is a list of words if it is there. */
const ADDRESSES = ['authorization_endpoint', 'token_endpoint', 'jwks_uri', 'userinfo_endpoint'] as const
const LISTS = [
  'scopes_supported', 'token_endpoint_auth_methods_supported', 'id_token_signing_alg_values_supported'
] as const

/** Our own judgement of an answer: it is told, where other messages can have tokens in them. */
class ProviderFailure extends Error {}

/** The provider can't be used at all, whatever the person has shown. */
class ProviderOutage extends ProviderFailure {}

/** How the client shows its secret to the provider (OpenID Connect Core 1.0 section 9). */
const PLACES = ['client_secret_post', 'client_secret_basic'] as const
type SecretPlace = typeof PLACES[number]

type Client = typeof import('openid-client')

/** What binds the answer of a provider to the request for it. */
export interface FlowSecrets { readonly state: string, readonly nonce: string, readonly verifier: string }

export type Provider = ReturnType<typeof createProvider>

/** The client of an identity provider. `openid-client` is loaded when it is first used. */
export function createProvider (settings: IdentityProvider) {
  const { clientId, clientSecret, allowed, redirectUri } = settings
  let reading: { readonly metadata: Promise<ServerMetadata>, readonly at: number } | undefined
  /** With the keys of the provider, which the library keeps, and reads again for a new one. */
  let configurations = new Map<SecretPlace, Configuration>()
  let exchanges = 0
  /** Where the provider has taken the secret. */
  let knownPlace: SecretPlace | undefined

  /** The metadata, read again after an hour or a failure. */
  function getMetadata (): Promise<ServerMetadata> {
    if (reading === undefined || performance.now() - reading.at >= FRESH_MILLISECONDS) {
      reading = { metadata: readProviderMetadata(settings), at: performance.now() }
      configurations = new Map()
    }
    return reading.metadata
  }

  /** @throws provider_unavailable, oidc_refused; neither has a secret in it. */
  async function asProblem<T> (work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      const cause = new Error(reasonOf(error))
      if (!withCauses(error).some(each => each instanceof ProviderOutage)) throw new Problem('oidc_refused', { cause })
      reading = undefined
      throw new Problem('provider_unavailable', { retrySeconds: RETRY_SECONDS, resource: 'provider', cause })
    }
  }

  function configure (client: Client, metadata: ServerMetadata, place: SecretPlace): Configuration {
    const authentication = clientSecret === undefined
      ? client.None()
      : place === 'client_secret_post' ? client.ClientSecretPost(clientSecret) : client.ClientSecretBasic(clientSecret)
    const configuration = new client.Configuration(metadata, clientId, undefined, authentication)
    // Without this an ID token without a signature, or with that of another key, is accepted.
    client.enableNonRepudiationChecks(configuration)
    if (isHttp(metadata.issuer)) client.allowInsecureRequests(configuration)
    configuration.timeout = TIMEOUT_SECONDS
    configuration[client.customFetch] = async (url, options) => {
      const answer = await fetchAnswer(url, options)
      return url === metadata.jwks_uri ? requireKeys(answer) : answer
    }
    configurations.set(place, configuration)
    return configuration
  }

  /**
   * The tokens for the code in `address`. If the provider does not take the secret where it is shown, it is shown once
   * in the other place, with the same code.
   */
  async function grant (address: URL, { state, nonce, verifier }: FlowSecrets) {
    const client = await import('openid-client')
    const metadata = await getMetadata()
    const { token_endpoint_auth_methods_supported: listed = [] } = metadata
    const checks = {
      expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true
    }
    const first = knownPlace ?? (listed.includes(PLACES[0]) ? PLACES[0] : PLACES[1])
    let refusal: unknown
    for (const place of clientSecret === undefined ? [first] : new Set([first, ...PLACES])) {
      const configuration = configurations.get(place) ?? configure(client, metadata, place)
      try {
        const tokens = await client.authorizationCodeGrant(configuration, address, checks)
        knownPlace = place
        return { client, configuration, tokens }
      } catch (error) {
        if (!isClientRefused(error)) throw error
        refusal = error
      }
    }
    throw new ProviderOutage(`the provider refuses the client: ${reasonOf(refusal)}`, { cause: refusal })
  }

  /** The claims of the person who has brought `response`, in which nothing is wrong. */
  async function readClaims (response: string, secrets: FlowSecrets): Promise<ProviderClaims & { sub: string }> {
    const address = new URL(redirectUri)
    address.search = response
    const { client, configuration, tokens } = await grant(address, secrets)
    const idToken: ProviderClaims = { ...tokens.claims() }
    const { sub, azp } = idToken
    if (!isSubject(sub)) throw new ProviderFailure('the subject is not 1 to 255 ASCII characters')
    if (azp !== undefined && azp !== clientId) throw new ProviderFailure('the ID token was issued to another client')
    const isComplete = neededClaims(allowed).every(name => Object.hasOwn(idToken, name))
    const hasMore = configuration.serverMetadata().userinfo_endpoint !== undefined
    const userInfo = isComplete || !hasMore
      ? {}
      : await client.fetchUserInfo(configuration, tokens.access_token, sub)
    return { ...joinClaims(idToken, userInfo), sub }
  }

  return {
    settings,

    /** Where the browser goes. @throws provider_unavailable. */
    addressOf ({ state, nonce, verifier }: FlowSecrets, parameters: Record<string, string>): Promise<string> {
      return asProblem(getMetadata().then(metadata => {
        const address = new URL(String(metadata.authorization_endpoint))
        const scope = scopeFor(allowed, metadata.scopes_supported)
        const challenge = hash('sha256', verifier, 'base64url')
        const added = {
          client_id: clientId,
          response_type: 'code',
          redirect_uri: redirectUri,
          scope,
          state,
          nonce,
          code_challenge: challenge,
          code_challenge_method: 'S256',
          ...parameters
        }
        for (const [name, value] of Object.entries(added)) address.searchParams.set(name, value)
        return address.href
      }))
    },

    /**
     * The claims of the person who has brought `response`; `useFlow` is called once it is certain that the provider
     * will be asked. @throws overloaded, provider_unavailable, oidc_refused, and what `useFlow` does.
     */
    async exchange (response: string, useFlow: () => Promise<FlowSecrets>): Promise<ProviderClaims & { sub: string }> {
      if (exchanges >= MAX_EXCHANGES) throw new Problem('overloaded', { retrySeconds: RETRY_SECONDS })
      exchanges++
      try {
        const secrets = await useFlow()
        return await asProblem(readClaims(response, secrets))
      } finally {
        exchanges--
      }
    }
  }
}

/** Reads the metadata of a provider (OpenID Connect Discovery 1.0 section 4). @throws if they can't be used. */
export async function readProviderMetadata ({ issuer }: IdentityProvider): Promise<ServerMetadata> {
  try {
    const answer = await fetchAnswer(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, {
      headers: { accept: 'application/json' }, signal: AbortSignal.timeout(TIMEOUT_SECONDS * 1000)
    })
    if (answer.status !== 200) throw new ProviderFailure(`the provider has answered with ${answer.status}`)
    const metadata = { ...await answer.json() as ServerMetadata }
    const told = String(metadata.issuer)
    // Not by the library, which takes that of any tenant of Microsoft, and does not tell it.
    if (!URL.canParse(told) || new URL(told).href !== issuer) {
      throw new ProviderFailure(`OIDC_ISSUER is ${issuer}, but they say ${JSON.stringify(told.slice(0, 1024))}`)
    }
    const addresses = { userinfo_endpoint: issuer, ...metadata }
    for (const name of ADDRESSES) {
      if (!isPrivate(addresses[name], issuer)) throw new ProviderFailure(`its ${name} is no https address`)
    }
    for (const name of LISTS) {
      if (!isList(metadata[name])) throw new ProviderFailure(`its ${name} is no list of words`)
    }
    return metadata
  } catch (error) {
    throw new ProviderOutage(`the metadata can't be used: ${reasonOf(error)}`, { cause: error })
  }
}

/** Whether others can't read what is sent to an address of this issuer: http is for one on this machine. */
function isPrivate (address: unknown, issuer: string): boolean {
  const url = typeof address === 'string' && URL.canParse(address) ? new URL(address) : undefined
  return url !== undefined && (url.protocol === 'https:' || (isHttp(issuer) && isPrivateUrl(url)))
}

function isList (value: unknown): boolean {
  return value === undefined ||
    (Array.isArray(value) && value.every(word => typeof word === 'string' && /^[\x21-\x7e]+$/.test(word)))
}

function isHttp (address: string): boolean {
  return address.startsWith('http:')
}

/** Never `offline_access`: no token of the provider is kept. */
function scopeFor (allowed: IdentityProvider['allowed'], supported: readonly string[] = []): string {
  const claims = neededClaims(allowed)
  return [
    'openid', 'profile', ...claims.includes('email') ? ['email'] : [],
    ...claims.includes('groups') && supported.includes('groups') ? ['groups'] : []
  ].join(' ')
}

/** The whole answer of the provider. @throws {ProviderOutage} if there is none, or it is not to be used. */
async function fetchAnswer (url: string, options: Pick<CustomFetchOptions, 'headers' | 'signal'>): Promise<Response> {
  try {
    const { status, headers, body } = await fetch(url, { ...options as RequestInit, redirect: 'manual' })
    if (status === 429 || status >= 500) {
      await body?.cancel()
      throw new ProviderOutage(`the provider has answered with ${status}`)
    }
    const bytes = await readBytes(body)
    return new Response(bytes.length === 0 ? null : bytes, { status, headers })
  } catch (error) {
    if (error instanceof ProviderOutage) throw error
    throw new ProviderOutage(`the provider can't be reached: ${reasonOf(error)}`)
  }
}

/** @throws {ProviderOutage} unless it has keys. */
async function requireKeys (answer: Response): Promise<Response> {
  const { keys } = await answer.clone().json().catch(() => ({})) as { keys?: unknown }
  if (answer.status !== 200 || !Array.isArray(keys)) throw new ProviderOutage('the keys of the provider can\'t be used')
  return answer
}

async function readBytes (body: ReadableStream<Uint8Array> | null): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of (body ?? []) as unknown as AsyncIterable<Uint8Array>) {
    length += chunk.length
    if (length > MAX_ANSWER_BYTES) throw new ProviderOutage(`an answer has more than ${MAX_ANSWER_BYTES} bytes`)
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

/**
 * Whether the provider does not take the secret, or has no such client (RFC 6749 section 5.2). The error in a query is
 * whatever its sender likes.
 */
function isClientRefused (error: unknown): boolean {
  const { error: reason, status, code } = error as { error?: unknown, status?: unknown, code?: unknown }
  return code === 'OAUTH_RESPONSE_BODY_ERROR'
    ? reason === 'invalid_client' || reason === 'unauthorized_client'
    : code === 'OAUTH_WWW_AUTHENTICATE_CHALLENGE' && status === 401
}

/** An error code of OAuth: it can be no token. */
const ERROR_CODE = /^[a-z_]{1,64}$/

/**
 * What is told of an error: its codes, and the messages of the library. Other messages, and the objects, can have
 * tokens in them.
 */
function reasonOf (error: unknown): string {
  return withCauses(error).flatMap(each => {
    if (each instanceof ProviderFailure) return each.message
    const { name, code, error, cause } = each as Error & { code?: unknown, error?: unknown }
    // That of a timeout is a number.
    const kind = typeof code === 'string' ? code : name
    if (kind === name && cause instanceof Error) return []
    const isCode = typeof error === 'string' && ERROR_CODE.test(error)
    return [kind, ...kind.startsWith('OAUTH_') ? [each.message] : [], ...isCode ? [error] : []].join(' ')
  }).join(': ')
}

/** An error and its causes, down to our own judgement, which says what matters of its cause. */
function withCauses (error: unknown): Error[] {
  if (!(error instanceof Error)) return []
  return [error, ...error instanceof ProviderFailure ? [] : withCauses(error.cause)]
}
