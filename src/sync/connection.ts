import { setTimeout as pause } from 'node:timers/promises'

/** The server refuses the request, or the connection was refused or has expired. */
export class ConnectionFailed extends Error {}

/** There was no answer, or one that says nothing about the request. */
export class NoAnswer extends Error {}

/** What a program shows to its user. */
export interface WaitingConnection {
  readonly userCode: string
  readonly verificationUrl: string
  readonly expiresAt: string
}

interface Requested extends WaitingConnection {
  readonly id: string
  readonly secret: string
  /** Seconds. */
  readonly interval: number
}

interface ConnectedAccount { readonly token: string, readonly username: string }

/**
 * Requests a connection from the server at an address, and waits until it is allowed. `onWaiting` is called once, with
 * what the user needs. @throws {ConnectionFailed}, {NoAnswer} to the first request.
 */
export async function connectTo (
  url: string, wanted: { name: string, scopes: readonly string[] }, onWaiting: (connection: WaitingConnection) => void
): Promise<ConnectedAccount> {
  const requested = await send<Requested>(`${url}/api/connections`, wanted)
  if (typeof requested?.secret !== 'string') throw new ConnectionFailed(`there is no MagicStore at ${url}`)
  const { id, secret, interval, expiresAt, ...shown } = requested
  // A server that does not know its own address tells a path.
  const verificationUrl = new URL(shown.verificationUrl.replace(/^\//, `${url}/`)).href
  onWaiting({ userCode: shown.userCode, verificationUrl, expiresAt })
  const path = `${url}/api/connections/${encodeURIComponent(id)}/token`
  // Only the server knows when it has expired: the clock of this computer may be wrong.
  for (;;) {
    await pause(interval * 1000)
    // Without a response, the server may be there the next time (RFC 8628 section 3.5).
    const connected = await send<ConnectedAccount>(path, { secret }).catch((error: unknown) => {
      if (!(error instanceof NoAnswer)) throw error
    })
    if (connected !== undefined) return connected
  }
}

/** The JSON of a response; undefined for 202. @throws {ConnectionFailed} if the request is refused, {NoAnswer}. */
async function send<T> (url: string, json: object): Promise<T | undefined> {
  const { status, text } = await exchange(url, json).catch((error: Error) => {
    throw new NoAnswer((error.cause as Error).message, { cause: error })
  })
  const answer = jsonOf(text)
  if (status === 202) return undefined
  if (status < 300) return answer as T
  const unexplained = `it answers with status ${status}`
  if (status >= 500 || status === 429) throw new NoAnswer(unexplained)
  const { detail = unexplained } = (answer ?? {}) as { detail?: string }
  throw new ConnectionFailed(status === 404 ? 'it was refused, or the code has expired' : detail)
}

async function exchange (url: string, json: object): Promise<{ status: number, text: string }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(json),
    // The secret is for this server alone.
    redirect: 'error'
  })
  return { status: response.status, text: await response.text() }
}

function jsonOf (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
