import type { FastifyReply, FastifyRequest } from 'fastify'
import { findName } from '../files/names.ts'
import { callerOf } from '../http/caller.ts'
import { parseUrl, publicFolder } from '../http/links.ts'
import type { HttpServices } from '../http/services.ts'
import type { AccountRecord } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import { refuse } from './headers.ts'

/** The path of the drive on this server. */
export const ROOT = '/dav'

/** A URI, or its path: the authority, without a user, and the path. */
const URI = /^(?:[a-zA-Z][a-zA-Z\d+.-]*:\/\/([^/?#@\\]*))?(\/[^?#]*)$/

/** The settings that say which addresses are this server's. */
export interface Site { readonly config: { readonly publicUrl: string | undefined } }

/** What a URL below `/dav` names. */
export interface DavTarget {
  /** The path of the drive as its clients see it, percent-encoded: below the folder of PUBLIC_URL. */
  readonly root: string
  /** As stored, in NFC; empty for the root. As sent if nothing can have this name. */
  readonly path: string
  /** The path of the URL as sent, percent-encoded, without a slash at its end. */
  readonly href: string
  /** Whether the URL ends with a slash: then it names a folder. */
  readonly hasSlash: boolean
}

/** A request to the drive of its owner. */
export interface DavRequest {
  readonly context: HttpServices
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly owner: AccountRecord
  /** What its URL names. */
  readonly target: DavTarget
}

/** @throws malformed_url. */
export function davRequest (context: HttpServices, request: FastifyRequest, reply: FastifyReply): DavRequest {
  return { context, request, reply, owner: callerOf(request).account, target: targetOf(request, context) }
}

/** What a request is about. @throws malformed_url. */
export function targetOf ({ raw }: FastifyRequest, site: Site): DavTarget {
  // The router has decoded the first segment.
  return targetAt(rootOf(site), String(raw.url).replace(/\?.*$/, '').replace(/^\/[^/]*\/?/, ''))
}

/**
 * The URL of a path, percent-encoded, without a slash at its end. It begins as the client wrote it if it is the
 * requested path, or below: some clients ignore hrefs outside the requested path.
 */
export function hrefOf (path: string, requested: DavTarget): string {
  const prefix = requested.path === '' ? '' : `${requested.path}/`
  const [start, rest] = `${path}/`.startsWith(prefix)
    ? [requested.href, path.slice(prefix.length)]
    : [requested.root, path]
  return encodePath(start, rest === '' ? [] : rest.split('/'))
}

/** What `Destination` names. @throws foreign_destination if it is not below the root of the drive, malformed_url. */
export function destinationOf (request: FastifyRequest, site: Site): DavTarget {
  const uri = request.headers.destination?.toString()
  if (uri === undefined) return refuse('It must have a Destination.')
  const found = findTarget(uri, request, site)
  if (found !== undefined) return found
  const detail = `The destination must be below ${rootOf(site)}/ of this server.`
  throw new Problem('foreign_destination', { detail })
}

/**
 * What a URI names; undefined if it is not below the root of the drive. Its scheme is ignored: a proxy may end TLS.
 * @throws malformed_url.
 */
export function findTarget (uri: string, request: FastifyRequest, site: Site): DavTarget | undefined {
  const { config: { publicUrl } } = site
  const [, authority, path = ''] = URI.exec(uri.trim()) ?? []
  const own = [request.host, ...(publicUrl === undefined ? [] : [new URL(publicUrl).host])].flatMap(hostsOf)
  // In the first group nothing is an absolute path.
  const isHere = authority === undefined || hostsOf(authority).some(host => own.includes(host))
  const root = rootOf(site)
  const rest = path.split('/')
  const start = rest.splice(0, root.split('/').length).join('/')
  return isHere && decode(start) === decode(root) ? targetAt(root, rest.join('/')) : undefined
}

function rootOf ({ config: { publicUrl } }: Site): string {
  return publicFolder(publicUrl) + ROOT
}

/** An authority as `URL` writes it, without the default port of http, and of https. */
function hostsOf (authority: string): string[] {
  return ['http', 'https'].flatMap(scheme => parseUrl(`${scheme}://${authority}`)?.host ?? [])
}

/** `rest`: what follows the root and a slash. */
function targetAt (root: string, rest: string): DavTarget {
  const segments = rest.replace(/\/$/, '').split('/').map(decode)
  const text = segments.join('/')
  return {
    root,
    path: findName(text) ?? text,
    href: encodePath(root, text === '' ? [] : segments),
    hasSlash: rest === '' || rest.endsWith('/')
  }
}

function encodePath (start: string, segments: readonly string[]): string {
  return [start, ...segments.map(encodeURIComponent)].join('/')
}

/** @throws malformed_url, also for bytes that are not percent-encoded: the encoding of a header field is not known. */
function decode (text: string): string {
  if (/[^!-~]/.test(text)) throw new Problem('malformed_url', { detail: 'It must be percent-encoded.' })
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw new Problem('malformed_url', { cause })
  }
}
