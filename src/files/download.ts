import { encodeExtended, format } from 'content-disposition'
import type { Piece } from '../blobs/blob-store.ts'
import { reprDigest, wantsSha256 } from './digests.ts'
import { entityTag, judge, type ConditionHeaders } from './preconditions.ts'
import { parseRanges, type ByteRange } from './ranges.ts'

/** What a download is decided from. */
export interface DownloadRequest {
  readonly method: 'GET' | 'HEAD'
  readonly headers: ConditionHeaders & {
    readonly range?: string | undefined
    readonly 'if-range'?: string | undefined
    readonly 'want-repr-digest'?: string | undefined
  }
  /** `attachment` unless it is said. */
  readonly disposition: 'attachment' | 'inline' | undefined
  /** Separates the parts of a multipart answer; random, so that no file can hold it on purpose. */
  readonly boundary: string
}

export interface DownloadFacts {
  readonly name: string
  readonly size: number
  readonly type: string
  readonly sha256: string
  readonly updatedAt: number
}

/** The answer as data: 412 and 416 have no headers but their own, and their body is a problem. */
export type DownloadPlan =
  | { readonly status: 200 | 206, readonly headers: Record<string, string>, readonly pieces: Piece[] }
  | { readonly status: 304, readonly headers: Record<string, string> }
  | { readonly status: 412 | 416, readonly headers: Record<string, string> }

/** No script, no style, no form, no plug-in, an origin of its own: whatever was uploaded runs nothing. */
const SANDBOX = "default-src 'none'; sandbox"

/** For media that a browser shows by itself; a sandbox would keep its PDF viewer out. */
const MEDIA_ONLY = "default-src 'none'; img-src 'self'; media-src 'self'; object-src 'self'; style-src 'unsafe-inline'"

/** What may be shown in the browser's window: none of it can run a script. SVG can, and whatever else is XML by its `+xml`. */
const INLINE_TYPE = /^(?:(?:image|audio|video)\/(?!svg)[^;+\s]+|application\/pdf|text\/plain)\s*(?:;|$)/i

/** Decides status, headers and bytes of `GET` and `HEAD` (RFC 9110 sections 13.2.2 and 14); touches nothing. */
export function planDownload (request: DownloadRequest, facts: DownloadFacts, now: number): DownloadPlan {
  const verdict = judge(request.headers, facts)
  if (verdict === 'failed') return { status: 412, headers: {} }
  const validators = {
    etag: entityTag(facts.sha256),
    'last-modified': new Date(Math.min(facts.updatedAt, now)).toUTCString(),
    'cache-control': 'private, no-cache',
    vary: 'Authorization'
  }
  if (verdict === 'unchanged') return { status: 304, headers: validators }
  const whole = { start: 0, end: facts.size - 1 }
  const ranges = rangesOf(request, facts)
  if (ranges === 'unsatisfiable') return { status: 416, headers: { 'content-range': `bytes */${facts.size}` } }
  const headers = { ...validators, ...representation(request, facts) }
  if (ranges === undefined) return { status: 200, headers: { ...headers, 'content-type': facts.type, 'content-length': String(facts.size) }, pieces: request.method === 'HEAD' || facts.size === 0 ? [] : [whole] }
  return { status: 206, ...partial(ranges, headers, facts, request.boundary) }
}

/** The fields that describe the file whichever part of it is sent. */
function representation ({ headers, disposition }: DownloadRequest, { name, type, sha256 }: DownloadFacts): Record<string, string> {
  const isInline = disposition === 'inline' && INLINE_TYPE.test(type)
  return {
    'accept-ranges': 'bytes',
    'content-disposition': dispositionOf(name, isInline ? 'inline' : 'attachment'),
    'content-security-policy': isInline ? MEDIA_ONLY : SANDBOX,
    ...(wantsSha256(headers['want-repr-digest']) && { 'repr-digest': reprDigest(sha256) })
  }
}

/** RFC 6266 with an extended parameter always (RFC 8187): what a plain one holds, clients read in different ways. */
function dispositionOf (name: string, type: string): string {
  const plain = name.replace(/[^ -~]|%/gu, '_')
  return format({ type, parameters: { filename: plain, 'filename*': encodeExtended(name) } }, { extended: false })
}

/** Ranges apply to GET only (RFC 9110 section 14.2). A date in `If-Range` never matches: two versions can have the same second, so that it is no strong validator. */
function rangesOf ({ method, headers }: DownloadRequest, facts: DownloadFacts): ReturnType<typeof parseRanges> {
  if (method !== 'GET' || headers.range === undefined) return undefined
  const ifRange = headers['if-range']?.trim()
  if (ifRange !== undefined && ifRange !== entityTag(facts.sha256)) return undefined
  return parseRanges(headers.range, facts.size)
}

function partial (ranges: ByteRange[], headers: Record<string, string>, { size, type }: DownloadFacts, boundary: string) {
  const [only] = ranges
  if (ranges.length === 1 && only !== undefined) {
    return {
      headers: { ...headers, 'content-type': type, 'content-range': contentRange(only, size), 'content-length': String(lengthOf(only)) },
      pieces: [only]
    }
  }
  const pieces = [
    ...ranges.flatMap((range, index): Piece[] => [`${index === 0 ? '' : '\r\n'}--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: ${contentRange(range, size)}\r\n\r\n`, range]),
    `\r\n--${boundary}--\r\n`
  ]
  const length = pieces.reduce((sum, piece) => sum + (typeof piece === 'string' ? Buffer.byteLength(piece) : lengthOf(piece)), 0)
  return { headers: { ...headers, 'content-type': `multipart/byteranges; boundary=${boundary}`, 'content-length': String(length) }, pieces }
}

function contentRange ({ start, end }: ByteRange, size: number): string {
  return `bytes ${start}-${end}/${size}`
}

function lengthOf ({ start, end }: ByteRange): number {
  return end - start + 1
}
