import type { FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from '../problems.ts'
import { parseSeconds } from '../uploads/modified-time.ts'
import { fieldOf, type Headers } from '../uploads/body.ts'

// Request headers of RFC 4918 section 10, and of clients.

/** No lock lasts longer: of a client that died, others wait so long at most. */
const MAX_LOCK_SECONDS = 3600

export type Depth = '0' | '1' | 'infinity'

/**
 * `Depth`; infinity if it is absent. Old clients of Windows ask for the members without the folder itself.
 * @throws malformed_request if it is none of these.
 */
export function depthOf ({ headers }: FastifyRequest, allowed: readonly Depth[]): Depth {
  const text = headers.depth?.toString().trim().toLowerCase().replace(/^1\s*,\s*noroot$/, '1') ?? 'infinity'
  return allowed.find(depth => depth === text) ?? refuse(`Depth must be ${allowed.join(' or ')}.`)
}

/** `Overwrite`. @throws malformed_request. */
export function overwritesOf ({ headers }: FastifyRequest): boolean {
  const text = headers.overwrite?.toString().trim().toUpperCase() ?? 'T'
  if (text !== 'T' && text !== 'F') refuse('Overwrite must be T or F.')
  return text === 'T'
}

/** `Timeout`: how long a lock is to last. */
export function lockSecondsOf ({ headers }: FastifyRequest): number {
  const [, seconds = MAX_LOCK_SECONDS] = /^\s*second-(\d+)\s*(?:,|$)/i.exec(String(headers.timeout)) ?? []
  return Math.min(Math.max(Number(seconds), 1), MAX_LOCK_SECONDS)
}

/** `Lock-Token`. @throws malformed_request. */
export function lockTokenOf ({ headers }: FastifyRequest): string {
  return /^<([^<>\s]+)>$/.exec(String(headers['lock-token']).trim())?.[1] ??
    refuse('Lock-Token must be a token in angle brackets.')
}

/**
 * `X-OC-Mtime` of ownCloud: the client's time of the content, in Unix seconds. Undefined also for one that no file can
 * have: programs send what the clock of a camera was. @throws malformed_request.
 */
export function contentTimeOf ({ headers }: FastifyRequest): number | undefined {
  const text = fieldOf(headers, 'x-oc-mtime')?.trim()
  if (text !== undefined && !/^-?\d+(?:\.\d+)?$/.test(text)) refuse('X-OC-Mtime must be seconds since 1970.')
  return text === undefined ? undefined : parseSeconds(text)
}

/** Says that such a time, if there was one, is stored. */
export function confirmTime (reply: FastifyReply, time: number | undefined): void {
  if (time !== undefined) reply.header('x-oc-mtime', 'accepted')
}

/** A part of a file would be stored as the whole. @throws partial_upload. */
export function refusePartial (headers: Headers): void {
  const field = Object.keys(headers).find(name => name === 'content-range' || name.startsWith('upload-'))
  if (field === undefined) return
  throw new Problem('partial_upload', { detail: `${field} is for other addresses: here a body is a whole file.` })
}

/** @throws malformed_request. */
export function refuse (detail: string): never {
  throw new Problem('malformed_request', { detail })
}
