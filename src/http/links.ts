import type { Socket } from 'node:net'
import { isLoopback } from '../config.ts'

/** The part of a request that a link depends on. */
interface Asked { readonly headers: { readonly host?: string | undefined, readonly ':authority'?: string | string[] | undefined }, readonly socket: Pick<Socket, 'localAddress' | 'localPort'> & { encrypted?: boolean } }

export interface Links {
  /** The link to `path` for whoever asked: absolute where the server knows its own name, else the path. */
  to (asked: Asked, path: string): string
}

/**
 * Links are absolute below `publicUrl`, or where the request's `Host` is the address it arrived at: a `Host` that
 * someone made up must not steer where a client goes next.
 */
export function createLinks (publicUrl: string | undefined): Links {
  return {
    to: ({ headers, socket }, path) => (publicUrl ?? ownOrigin(headers[':authority']?.toString() ?? headers.host, socket)) + path
  }
}

function ownOrigin (host: string | undefined, socket: Asked['socket']): string {
  const scheme = socket.encrypted === true ? 'https' : 'http'
  const url = host === undefined ? undefined : parseUrl(`${scheme}://${host}`)
  if (url === undefined || url.pathname !== '/' || url.username !== '' || url.search !== '' || url.hash !== '') return ''
  const port = Number(url.port === '' ? (scheme === 'https' ? 443 : 80) : url.port)
  const name = url.hostname.replace(/^\[|\]$/g, '')
  const address = (socket.localAddress ?? '').replace(/^::ffff:/, '')
  const isOwn = port === socket.localPort && (name === address || (isLoopback(name) && isLoopback(address)))
  return isOwn ? url.origin : ''
}

/** The address, or undefined for what is none. Not by `URL.canParse`: in Node 20, once it is called often, it reads Latin-1 as UTF-8 and accepts what `new URL` then refuses. */
export function parseUrl (text: string): URL | undefined {
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}
