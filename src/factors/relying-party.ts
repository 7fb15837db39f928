import { isIP, type Socket } from 'node:net'
import { Problem } from '../problems.ts'

/** The relying party of passkeys (WebAuthn level 3 section 4): `id` is its host, `origin` that of its pages. */
export interface RelyingParty { readonly id: string, readonly origin: string }

/** The part of a request that says where it arrived. */
export interface ArrivedRequest { readonly socket: Pick<Socket, 'localPort'> & { encrypted?: boolean } }

/**
 * The host that passkeys belong to; undefined if the server can't have any. Browsers demand a name, not an address such
 * as 127.0.0.1, and TLS unless it is `localhost`.
 */
export function findPasskeyHost (publicUrl: string | undefined): string | undefined {
  if (publicUrl === undefined) return 'localhost'
  const { protocol, hostname } = new URL(publicUrl)
  const isName = isIP(hostname.replace(/^\[|\]$/g, '')) === 0
  return hostname === 'localhost' || (isName && protocol === 'https:') ? hostname : undefined
}

/**
 * The relying party of a request. Without PUBLIC_URL, pages are at the port at which it arrived.
 * @throws passkeys_unavailable if the server can't have passkeys.
 */
export function relyingPartyOf ({ socket }: ArrivedRequest, publicUrl: string | undefined): RelyingParty {
  const id = findPasskeyHost(publicUrl)
  if (id === undefined) {
    throw new Problem('passkeys_unavailable', {
      detail: 'Passkeys need a PUBLIC_URL with https and a name, not an address.'
    })
  }
  const scheme = socket.encrypted === true ? 'https' : 'http'
  return { id, origin: new URL(publicUrl ?? `${scheme}://localhost:${socket.localPort}`).origin }
}
