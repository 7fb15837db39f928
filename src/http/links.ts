import type { Socket } from 'node:net'
import { isLoopback } from '../config/loopback.ts'

/** The part of a request that a link depends on. */
interface LinkRequest {
  readonly headers: { readonly host?: string | undefined, readonly ':authority'?: string | string[] | undefined }
  readonly socket: Pick<Socket, 'localAddress' | 'localPort'> & { encrypted?: boolean }
}

export type Links = ReturnType<typeof createLinks>

/**
 * Makes the links in responses. They are absolute if `publicUrl` is set, or if the request's `Host` is the address that
 * it arrived at. Any other `Host` is ignored: a forged one must not direct clients to another server.
 */
export function createLinks (publicUrl: string | undefined) {
  return {
    /** The link to `path`: absolute if the server knows its own address, else just the path. */
    to: ({ headers, socket }: LinkRequest, path: string): string =>
      (publicUrl ?? ownOrigin(headers[':authority']?.toString() ?? headers.host, socket)) + path
  }
}

/** The path at which a browser sees the server; empty for the root of a host. */
export function publicFolder (publicUrl: string | undefined): string {
  return publicUrl === undefined ? '' : new URL(publicUrl).pathname.replace(/\/$/, '')
}

function ownOrigin (host: string | undefined, socket: LinkRequest['socket']): string {
  const scheme = socket.encrypted === true ? 'https' : 'http'
  const url = host === undefined ? undefined : parseUrl(`${scheme}://${host}`)
  // Only a host and a port.
  if (url === undefined || url.href !== `${url.origin}/`) return ''
  const port = Number(url.port === '' ? (scheme === 'https' ? 443 : 80) : url.port)
  const name = url.hostname.replace(/^\[|\]$/g, '')
  const address = (socket.localAddress ?? '').replace(/^::ffff:/, '')
  const isOwn = port === socket.localPort && (name === address || (isLoopback(name) && isLoopback(address)))
  return isOwn ? url.origin : ''
}

/**
 * The URL, or undefined if it is invalid. After many calls, Node 20's `URL.canParse` reads Latin-1 as UTF-8 and accepts
 * invalid URLs.
 */
export function parseUrl (text: string): URL | undefined {
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}
